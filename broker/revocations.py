"""Sessions that are over before their time.

The set is small and read anew whenever the store changes, so that a revocation binds every worker of a node with its
next request, and those of other nodes as soon as they notice the change (``broker.housekeeping``).
"""

from __future__ import annotations

from datetime import datetime

from broker.domain.session import Session
from broker.store.engine import Database
from broker.store.revocations import RevocationKind, list_revocations

_Found = dict[tuple[RevocationKind, str, str, str], int]


class Revocations:
    """Answers whether a session was revoked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loaded: tuple[int, _Found] = (-1, {})

    def revoked(self, session: Session, access_key_id: str) -> bool:
        """Whether the session of ``access_key_id``, one that it was chained from, or all of its kind were revoked."""
        found = self._current()
        if not found:
            return False
        # a session that was chained while the news travelled is as old as its chain
        issued_at = int((session.chain_started_at or session.issued_at).timestamp())
        for chained in (access_key_id, *session.ancestors):
            if (RevocationKind.SESSION, "", "", chained) in found:
                return True
        names = []
        if session.source_identity is not None and session.source_account is not None:
            names.append((RevocationKind.SOURCE_IDENTITY, session.source_account, "", session.source_identity))
        if session.subject is not None:
            provider, subject = session.subject
            names.append((RevocationKind.SUBJECT, "", provider, subject))
        return any(issued_at <= found.get(name, -1) for name in names)

    def subject_revoked(self, provider: str, subject: str, since: datetime) -> bool:
        """Whether everything of an external subject that began at ``since`` or before is over."""
        return since.timestamp() <= self._current().get((RevocationKind.SUBJECT, "", provider, subject), -1)

    def _current(self) -> _Found:
        revision = self._database.revision()
        known, found = self._loaded
        if known != revision:
            with self._database.read() as connection:
                rows = list_revocations(connection)
            found = {(row.kind, row.account, row.provider, row.value): row.revoked_at for row in rows}
            self._loaded = (revision, found)
        return found
