"""Which sessions live now? Credentials are not stored, but no credentials are issued without their event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from broker.domain.principal import PrincipalKind
from broker.store.tables import audit_events

_PAGE = 2_000
_LONGEST_SECONDS = 129_600
_SLACK_SECONDS = 600
"""Events are in the order in which they came into the database, which is almost that of their times."""


@dataclass(frozen=True, slots=True)
class IssuedSession:
    """A session as its event tells it. ``issued_by`` is the ARN of the caller, ``subject`` an external identity's."""

    access_key_id: str
    arn: str
    issued_at: str
    expires_at: str
    issued_by: str
    source_identity: str
    provider: str
    subject: str


def live_sessions(connection: Connection, now: datetime) -> Iterator[IssuedSession]:
    """The sessions that have not expired by themselves, the newest first."""
    decode = msgspec.json.Decoder().decode
    earliest = int(now.timestamp()) - _LONGEST_SECONDS - _SLACK_SECONDS
    moment = f"{now.astimezone(UTC).isoformat()[:19]}Z"
    before: int | None = None
    while True:
        table = audit_events.c
        query = select(table.sequence, table.event_time, table.record).order_by(table.sequence.desc()).limit(_PAGE)
        rows = connection.execute(query if before is None else query.where(table.sequence < before)).all()
        for _, _, record in rows:
            if '"credentials"' in record:
                session = _session(decode(record))
                if session is not None and session.expires_at > moment:
                    yield session
        if len(rows) < _PAGE or rows[-1][1] < earliest:
            return
        before = rows[-1][0]


def _session(event: dict[str, Any]) -> IssuedSession | None:
    answer = event.get("responseElements") or {}
    credentials = answer.get("credentials")
    if not credentials or event.get("errorCode"):
        return None
    caller = event["userIdentity"]
    # of a SAML identity CloudTrail's identityProvider is a digest; the call names the provider
    provider = (event.get("requestParameters") or {}).get("principalArn") or caller.get("identityProvider", "")
    who = answer.get("assumedRoleUser") or answer.get("federatedUser") or caller
    return IssuedSession(
        credentials["accessKeyId"],
        who.get("arn", ""),
        event["eventTime"],
        credentials["expiration"],
        caller.get("arn", ""),
        answer.get("sourceIdentity", ""),
        provider,
        _subject(caller) if "identityProvider" in caller else "",
    )


def _subject(caller: dict[str, Any]) -> str:
    """Directories rename people: there the user name is not what an identity is known by."""
    return str(caller.get("principalId" if caller["type"] == PrincipalKind.LDAP_IDENTITY.value else "userName", ""))
