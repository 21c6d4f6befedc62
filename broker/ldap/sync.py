"""Changes in a directory reach us: whoever is disabled or gone there loses the sessions here.

A whole sync looks up all who may have sessions; a re-check only those whose sessions are in use. If a sync would end
the sessions of more than the registration's threshold, it ends nobody's: then the directory or the registration has
changed, not that many people. A re-check believes an account that says that it is disabled; one that is missing makes
it ask for the whole sync, whose threshold then decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from broker.audit.event import CallRecord, render
from broker.identifiers import new_uuid
from broker.services import Services
from broker.store.audit_events import append_records
from broker.store.directory_subjects import (
    DirectorySubject,
    claim_checks,
    delete_old_subjects,
    delete_subjects,
    find_due,
    list_subjects,
    note_checked,
)
from broker.store.identity_providers import ProviderRecord
from broker.store.revocations import Revocation, RevocationKind, put_revocation

if TYPE_CHECKING:
    from providers.ldap.provider import Verdict

_FEW = 3
"""So many may always lose their sessions: of a handful of people any is a large part."""
_KEPT_SECONDS = 3 * 86_400
"""After the last login: longer than a session and those chained from it live."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Somebody whose sessions end, and why."""

    subject: DirectorySubject
    reason: str


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync found. ``refused`` says why nothing was done, if so; ``applied``: it was done."""

    provider: str
    known: int
    ended: tuple[Ended, ...]
    refused: str | None
    applied: bool


def sync_directory(
    services: Services, record: ProviderRecord, now: datetime, *, dry_run: bool = False, force: bool = False
) -> SyncReport:
    """Look up all who may have sessions. ``force``: whatever the threshold says. Raises ProviderUnreachable."""
    moment = int(now.timestamp())
    with services.database.write() as connection:
        delete_old_subjects(connection, before=moment - _KEPT_SECONDS)
    with services.database.read() as connection:
        known = list_subjects(connection, record.arn)
    verdicts = look_up(services, record, [one.subject for one in known], now)
    ended = tuple(Ended(one, problem) for one in known if (problem := verdicts[one.subject].problem) is not None)
    refused = None if force else _over_threshold(record, len(known), len(ended))
    if dry_run or refused is not None:
        if refused is not None:
            _record_refusal(services, record, refused, now)
        return SyncReport(record.arn, len(known), ended, refused, applied=False)
    end_sessions(services, record, ended)
    with services.database.write() as connection:
        note_checked(connection, record.arn, moment)
    return SyncReport(record.arn, len(known), ended, None, applied=True)


def recheck_subjects(services: Services, record: ProviderRecord, subjects: Sequence[str], now: datetime) -> None:
    """Look up those of ``subjects`` whose time it is. Raises ProviderUnreachable."""
    moment = int(now.timestamp())
    before = moment - record.settings["recheck_seconds"]
    with services.database.read() as connection:  # mostly nobody's: then writers are not kept waiting
        due = find_due(connection, record.arn, subjects, before=before)
    if not due:
        return
    with services.database.write() as connection:
        due = claim_checks(connection, record.arn, due, before=before, now=moment)
    if not due:
        return
    verdicts = look_up(services, record, due, now)
    with services.database.read() as connection:
        known = {one.subject: one for one in list_subjects(connection, record.arn)}
    end_sessions(
        services,
        record,
        [
            Ended(known[subject], verdict.problem)
            for subject, verdict in verdicts.items()
            if verdict.found and verdict.problem is not None and subject in known
        ],
    )
    if not all(verdict.found for verdict in verdicts.values()):
        sync_directory(services, record, now)


def look_up(services: Services, record: ProviderRecord, subjects: Sequence[str], now: datetime) -> dict[str, Verdict]:
    """What the directory says of them. Raises ProviderUnreachable."""
    from providers.ldap.provider import LdapProvider

    provider = services.providers.get(record)
    assert isinstance(provider, LdapProvider)  # of kind "ldap"
    return provider.check_subjects(subjects, now)


def end_sessions(services: Services, record: ProviderRecord, ended: Sequence[Ended]) -> None:
    """End every session of these, on all nodes; each leaves its audit event in the same transaction."""
    if not ended:
        return
    with services.database.change() as connection:
        now = datetime.now(UTC)  # after waiting for the turn to write: what was issued until then is over
        moment = int(now.timestamp())
        for one in ended:
            value = one.subject.subject
            put_revocation(connection, Revocation(RevocationKind.SUBJECT, "", record.arn, value, moment))
        delete_subjects(connection, record.arn, [one.subject.subject for one in ended])
        append_records(connection, [render(_event(record, one, now)) for one in ended])


def _over_threshold(record: ProviderRecord, known: int, ended: int) -> str | None:
    limit = record.settings["sync_threshold_percent"]
    if ended <= _FEW or ended * 100 <= known * limit:
        return None
    return f"would deactivate {ended * 100 // known} % ({ended} of {known}): more than {limit} %"


def _event(record: ProviderRecord, one: Ended, now: datetime) -> CallRecord:
    event = CallRecord(new_uuid(), now, event_source="accredit", event_name="RevokeSessions", read_only=False)
    event.recipient = record.account
    event.reason = one.reason
    event.parameters = {
        "kind": RevocationKind.SUBJECT.value,
        "value": one.subject.subject,
        "provider": record.arn,
        "username": one.subject.username,
        "dn": one.subject.dn,
    }
    return event


def _record_refusal(services: Services, record: ProviderRecord, refused: str, now: datetime) -> None:
    event = CallRecord(new_uuid(), now, event_source="accredit", event_name="SyncDirectory", read_only=True)
    event.recipient = record.account
    event.parameters = {"provider": record.arn}
    event.error_code, event.error_message, event.reason = "SyncRefused", refused, refused
    with services.database.write() as connection:
        append_records(connection, [render(event)])
