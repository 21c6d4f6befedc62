"""Who came from a directory: noted when they log in, and asked for again while their sessions are in use.

Directories do not tell us when an account is disabled: whoever may have sessions has to be looked up there
(``broker.ldap.sync``).
"""

from __future__ import annotations

from datetime import datetime

from broker.domain.session import Session
from broker.store.directory_subjects import DirectorySubject, put_subject
from broker.store.engine import Database
from broker.store.identity_providers import ProviderRecord
from providers.base import ExternalIdentity

_NOTED_SECONDS = 3_600
"""A login within this time after one that was noted is not noted again."""
_USED_SECONDS = 1
"""A session in use is put forward once in this time; when its subject is looked up again, the registration says."""
_MOST = 100_000
_KIND = ":ldap-provider/"

Subject = tuple[str, str]
"""The ARN of the provider, and whom it knows by this."""


class DirectorySubjects:
    """The worker's view of them; the store has them all."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: tuple[int, dict[Subject, int]] = (-1, {})
        self._used: dict[Subject, int] = {}
        self._waiting: dict[Subject, None] = {}

    def note(self, record: ProviderRecord, identity: ExternalIdentity, now: datetime) -> None:
        """Somebody logged in. Durable when this returns; raises Unavailable, and then nothing may be handed out.

        What was noted is noted again after any change, for the change may be that the account lost its sessions.
        """
        key, moment = (record.arn, identity.subject), int(now.timestamp())
        revision = self._database.revision()
        if self._noted[0] != revision or len(self._noted[1]) >= _MOST:
            self._noted = (revision, {})
        noted = self._noted[1]
        if moment - noted.get(key, -_NOTED_SECONDS) < _NOTED_SECONDS:
            return
        (username,), (dn,) = identity.attributes["username"], identity.attributes["dn"]
        with self._database.write() as connection:
            put_subject(connection, DirectorySubject(*key, username, dn, moment, moment))
        noted[key] = moment

    def use(self, session: Session, now: datetime) -> None:
        """A session is in use: its subject may have to be looked up. Never waits and never fails."""
        subject = session.subject
        if subject is None or _KIND not in subject[0]:
            return
        moment = int(now.timestamp())
        if moment - self._used.get(subject, 0) < _USED_SECONDS:
            return
        if len(self._used) >= _MOST:
            self._used = {}
        self._used[subject] = moment
        self._waiting[subject] = None

    def take_used(self) -> list[Subject]:
        """Those that came up since this was last asked."""
        waiting = self._waiting
        return [subject for subject in list(waiting) if waiting.pop(subject, subject) is None]
