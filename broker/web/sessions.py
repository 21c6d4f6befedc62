"""Server-side sessions of people: begun by a proof of who somebody is, found by a cookie, over when we say so.

The cookie's value is 256 random bits of which the store has the digest alone. It is a new one whenever what the session
is good for grows: at sign-in, and when a second factor is given.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import Connection

from broker.credentials.sealing import SealBroken, seal, unseal
from broker.errors import AccessDenied
from broker.identifiers import new_uuid
from broker.services import Services
from broker.store import browser_sessions as rows
from broker.store.browser_sessions import SessionRow
from providers.base import ExternalIdentity

_TOUCH_SECONDS = 60
"""A session's use is written down once in this time."""
_LONGEST_AGENT, _LONGEST_ADDRESS = 512, 64


class External(msgspec.Struct, frozen=True):
    """Somebody whom an identity provider vouched for.

    ``kind`` is the provider's. ``session_index`` is what the provider calls its own session with the person (SAML
    ``SessionIndex``, OpenID Connect ``sid``), ``logout`` what else single logout needs to say, in the kind's own words
    (SAML: NameID's format and qualifiers).
    """

    kind: str
    provider: str
    identity: ExternalIdentity
    session_index: str | None = None
    logout: Mapping[str, str] = msgspec.field(default_factory=dict)


class Person(msgspec.Struct, frozen=True):
    """Who signed in, and how: a user of ours (by unique id), or somebody external.

    ``amr`` are the methods (RFC 8176: ``pwd``, ``otp``, ``hwk``, ``mfa``, …; ``fed`` for what a provider vouched for).
    """

    account: str
    amr: tuple[str, ...]
    authenticated_at: datetime
    user_id: str | None = None
    external: External | None = None
    mfa_at: datetime | None = None


class BrowserSession(msgspec.Struct, frozen=True):
    """A session that is not over. ``handle`` names it in lists; it opens nothing."""

    digest: str
    handle: str
    person: Person
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    source_ip: str
    user_agent: str


class Origin(msgspec.Struct, frozen=True):
    """Where a browser is, and what it says it is."""

    source_ip: str
    user_agent: str


class BrowserSessions:
    """The sessions in the store."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._master_key = services.master_key
        self._revocations = services.revocations
        self._idle = timedelta(minutes=services.settings.web.idle_minutes)
        self._longest = timedelta(hours=services.settings.web.session_hours)

    def begin(self, connection: Connection, person: Person, origin: Origin, now: datetime) -> str:
        """Begin a session within the caller's transaction (which has its audit event too); the cookie's value.

        It ends with what the provider said at the latest. Raises AccessDenied if that is past.
        """
        ends = [now + self._longest]
        if person.external is not None and person.external.identity.session_ends_at is not None:
            ends.append(person.external.identity.session_ends_at)
        if min(ends) <= now:
            raise AccessDenied("The sign-in is over already.", detail="session_ends_at is past")
        moment = int(now.timestamp())
        rows.delete_over_sessions(connection, moment, moment - int(self._idle.total_seconds()))
        return self._insert(connection, person, origin, now, now, min(ends))

    def step_up(self, connection: Connection, session: BrowserSession, person: Person, now: datetime) -> str:
        """Put a session with a new cookie in the old one's place; its end stays. The cookie's value.

        Raises AccessDenied if the old one is over.
        """
        if not rows.delete_session(connection, session.digest):
            raise AccessDenied("Your session is over. Please sign in again.", detail="the session is gone")
        origin = Origin(session.source_ip, session.user_agent)
        return self._insert(connection, person, origin, session.created_at, now, session.expires_at)

    def find(self, cookie: str, now: datetime) -> BrowserSession | None:
        """The session of this cookie, if it is not over. Raises Unavailable."""
        with self._database.read() as connection:
            row = rows.find_session(connection, _digest(cookie))
        if row is None or self._is_over(row, now):
            return None
        session = self._opened(row)
        if session is None or self._is_revoked(session):
            return None
        if now.timestamp() - row.seen_at >= _TOUCH_SECONDS:
            with self._database.write() as connection:
                rows.touch_session(connection, row.digest, int(now.timestamp()))
        return session

    def of_person(self, person: Person, now: datetime) -> list[BrowserSession]:
        """All that this person has, the latest first."""
        with self._database.read() as connection:
            found = self._rows_of(connection, person)
        return self._live(found, now)

    def of_account(self, account: str, now: datetime, limit: int = 1_000) -> list[BrowserSession]:
        """Those of an account, the latest first."""
        with self._database.read() as connection:
            found = rows.list_account_sessions(connection, account, limit)
        return self._live(found, now)

    def by_handle(self, handle: str, now: datetime) -> BrowserSession | None:
        with self._database.read() as connection:
            row = rows.find_session_by_handle(connection, handle)
        return None if row is None else next(iter(self._live([row], now)), None)

    def end(self, connection: Connection, session: BrowserSession) -> bool:
        """End the session within the caller's transaction; False if it was over already."""
        return rows.delete_session(connection, session.digest)

    def end_subject(self, connection: Connection, provider: str, subject: str, index: str | None = None) -> int:
        """Single logout: end the sessions of a provider's subject, or the one of a session index; how many.

        Within the caller's transaction, which has the audit event too.
        """
        digest = None if index is None else _text_digest(index)
        return rows.delete_subject_sessions(connection, provider, _text_digest(subject), digest)

    def end_user(self, connection: Connection, user_id: str, *, but: BrowserSession | None = None) -> int:
        """End a user's sessions, as after a change of the password; how many."""
        return rows.delete_user_sessions(connection, user_id, but="" if but is None else but.digest)

    def _insert(
        self,
        connection: Connection,
        person: Person,
        origin: Origin,
        created_at: datetime,
        now: datetime,
        expires_at: datetime,
    ) -> str:
        cookie = base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode("ascii")
        digest, external = _digest(cookie), person.external
        row = SessionRow(
            digest=digest,
            handle=new_uuid(),
            account=person.account,
            user_id=person.user_id,
            provider=None if external is None else external.provider,
            subject_digest=None if external is None else _text_digest(external.identity.subject),
            index_digest=None
            if external is None or not external.session_index
            else _text_digest(external.session_index),
            sealed_identity=None if external is None else self._seal(digest, external),
            amr=" ".join(person.amr)[:256],
            authenticated_at=int(person.authenticated_at.timestamp()),
            mfa_at=None if person.mfa_at is None else int(person.mfa_at.timestamp()),
            created_at=int(created_at.timestamp()),
            seen_at=int(now.timestamp()),
            expires_at=int(expires_at.timestamp()),
            source_ip=origin.source_ip[:_LONGEST_ADDRESS],
            user_agent=_storable(origin.user_agent)[:_LONGEST_AGENT],
        )
        rows.insert_session(connection, row)
        return cookie

    def _rows_of(self, connection: Connection, person: Person) -> list[SessionRow]:
        if person.user_id is not None:
            return rows.list_user_sessions(connection, person.user_id)
        if person.external is None:
            return []
        return rows.list_subject_sessions(
            connection, person.external.provider, _text_digest(person.external.identity.subject)
        )

    def _live(self, found: list[SessionRow], now: datetime) -> list[BrowserSession]:
        opened = (self._opened(row) for row in found if not self._is_over(row, now))
        return [session for session in opened if session is not None]

    def _is_revoked(self, session: BrowserSession) -> bool:
        external = session.person.external
        return external is not None and self._revocations.subject_revoked(
            external.provider, external.identity.subject, session.created_at
        )

    def _is_over(self, row: SessionRow, now: datetime) -> bool:
        moment = now.timestamp()
        return moment >= row.expires_at or moment >= row.seen_at + self._idle.total_seconds()

    def _opened(self, row: SessionRow) -> BrowserSession | None:
        """The row's values; None if what is sealed cannot be read, as after a change of the master key."""
        external = None
        if row.sealed_identity is not None:
            try:
                plain = unseal(self._master_key, row.sealed_identity, purpose=_purpose(row.digest))
                external = msgspec.json.decode(plain, type=External)
            except (SealBroken, msgspec.DecodeError):
                return None
        person = Person(
            row.account,
            tuple(row.amr.split()),
            _time(row.authenticated_at),
            row.user_id,
            external,
            None if row.mfa_at is None else _time(row.mfa_at),
        )
        return BrowserSession(
            row.digest,
            row.handle,
            person,
            _time(row.created_at),
            _time(row.seen_at),
            _time(row.expires_at),
            row.source_ip,
            row.user_agent,
        )

    def _seal(self, digest: str, external: External) -> bytes:
        return seal(self._master_key, msgspec.json.encode(external), purpose=_purpose(digest))


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("ascii")).hexdigest()


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _purpose(digest: str) -> bytes:
    return b"browser-session\x00" + digest.encode("ascii")


def _storable(text: str) -> str:
    """PostgreSQL takes no NUL, and no database a lone surrogate."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
