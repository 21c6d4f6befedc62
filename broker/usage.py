"""When which access key, user and role was last used, for what: gathered beside the calls, written every few seconds.

A call costs two entries in a dictionary. What a worker that is killed had not written yet is lost: these are figures
for people who tidy up, not a record; that is the audit log.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime

from broker.audit.event import CallRecord
from broker.credentials.keyids import LONG_TERM
from broker.errors import BrokerError
from broker.store.engine import Database
from broker.store.usages import Used, put_usages

_FLUSH_SECONDS = 2.0
_TICK_SECONDS = 0.25

_log = logging.getLogger(__name__)


class UsageLog:
    """Notes calls of principals that were verified, allowed or not."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: dict[Used, tuple[datetime, str]] = {}
        self._closing = threading.Event()
        self._flusher = threading.Thread(target=self._run, name="usage-flusher")
        self._flusher.start()

    def note(self, owner_id: str, service: str, call: CallRecord) -> None:
        """Note a call with credentials of a user, a role or root. Never waits and never fails."""
        used = (call.time, call.region)
        self._pending[owner_id, service, call.event_name] = used
        if call.access_key_id is not None and call.access_key_id.startswith(LONG_TERM):
            self._pending[call.access_key_id, service, call.event_name] = used

    def flush(self) -> None:
        """Write what was noted. What cannot be written now is kept for the next time."""
        pending = self._pending
        # one by one, so that what is noted meanwhile is neither lost nor in the way
        taken = {used: noted for used in list(pending) if (noted := pending.pop(used, None)) is not None}
        if not taken:
            return
        try:
            with self._database.write() as connection:
                put_usages(
                    connection, {used: (int(now.timestamp()), region[:64]) for used, (now, region) in taken.items()}
                )
        except BrokerError as error:
            _log.warning("last uses cannot be written now", extra={"error": repr(error)})
            for used, noted in taken.items():
                pending.setdefault(used, noted)

    def close(self) -> None:
        self._closing.set()
        self._flusher.join()

    def _run(self) -> None:
        """Not a daemon: it ends after the main thread has, with a last flush, so that a stopping worker loses none."""
        main, written = threading.main_thread(), time.monotonic()
        while main.is_alive() and not self._closing.wait(_TICK_SECONDS):
            if time.monotonic() - written >= _FLUSH_SECONDS:
                self.flush()
                written = time.monotonic()
        self.flush()
