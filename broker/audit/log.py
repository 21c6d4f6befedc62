"""The audit log: records of issued credentials are durable before the answers that depend on them leave.

They go, in groups, into the worker's journal where there is one, else straight into the database. Records of read-only
calls wait in memory. A flusher brings both into the database, in one transaction each interval.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from sqlalchemy.exc import SQLAlchemyError

from broker.audit.event import CallRecord, render
from broker.audit.floods import Floods
from broker.audit.group import GroupCommit
from broker.audit.journal import Journal, replay
from broker.errors import AuditUnavailable, BrokerError
from broker.store.audit_events import Appender, append_records, ingest
from broker.store.engine import Database

_MAX_BACKLOG_CHARACTERS = 16 * 1024 * 1024
"""Of records of read-only calls, kept while the store cannot take them; beyond it those calls are refused."""
_REPLAY_SECONDS = 5.0
"""How soon what a worker left behind is found by another one, should it not be started again."""

_FAILURES = (BrokerError, SQLAlchemyError, OSError)
"""Of the store, and of the disk."""

_log = logging.getLogger(__name__)


class AuditLog:
    """Appends event records (JSON texts) to the store."""

    def __init__(self, database: Database, *, read_flush_seconds: float, failures_per_second: float = 10) -> None:
        self._database = database
        self._floods = Floods(failures_per_second)
        self._appender = Appender(database)
        self._journal = Journal(database.journals, database) if database.journals else None
        self._issued = GroupCommit(self._write)
        self._interval = read_flush_seconds
        self._mutex = threading.Lock()
        self._backlog: list[str] = []
        self._backlog_size = 0
        self._flushed_at = time.monotonic()
        self._flushing = threading.Lock()
        self._closing = threading.Event()
        self._flusher = threading.Thread(target=self._flush_regularly, name="audit-flusher")
        self._flusher.start()

    def record(self, record: str) -> None:
        """Return when the record is on disk. Raises AuditUnavailable, and then nothing may be issued."""
        outcome: SimpleQueue[AuditUnavailable | None] = SimpleQueue()
        self.record_then(record, outcome.put)
        if (error := outcome.get()) is not None:
            raise error

    def record_then(self, record: str, settle: Callable[[AuditUnavailable | None], None]) -> None:
        """Return at once. When the record is on disk, ``settle`` is called with None, by another thread; with an error,
        nothing may be issued."""
        self._issued.submit(record, lambda error: settle(None if error is None else _unavailable(error)))

    def record_soon(self, record: str) -> None:
        """Take the record of a read-only call: it is on disk within the flush interval. Raises AuditUnavailable."""
        with self._mutex:
            if self._backlog_size >= _MAX_BACKLOG_CHARACTERS:
                raise AuditUnavailable("The audit record cannot be written.", detail="the backlog is full")
            self._backlog.append(record)
            self._backlog_size += len(record)
        self._flush_if_overdue()

    def record_failure(self, call: CallRecord) -> None:
        """Take the record of a failure of nobody known, or count it. Raises AuditUnavailable."""
        if self._floods.admits(call):
            self.record_soon(render(call))

    def flush(self) -> None:
        """Return when everything taken so far is in the database. Raises AuditUnavailable."""
        with self._flushing:
            self._flush()

    def close(self) -> None:
        self._issued.close()
        self._closing.set()
        self._flusher.join()
        self._appender.close()
        if self._journal is not None:
            self._journal.close()

    def _write(self, records: list[str]) -> None:
        """Return when a group of records is on disk."""
        if self._journal is not None and self._journal.usable:
            self._journal.append(records)
            self._flush_if_overdue()
        else:
            with self._database.exclusive():
                self._appender.append(records)

    def _flush_if_overdue(self) -> None:
        """Under load the flusher may not get its turn; then a call does its work."""
        if time.monotonic() - self._flushed_at > 1.5 * self._interval and self._flushing.acquire(blocking=False):
            try:
                self._flush_quietly()
            finally:
                self._flushing.release()

    def _flush(self) -> None:
        """Bring the backlog and the journal into the database. Only for whoever holds ``_flushing``."""
        self._flushed_at = time.monotonic()
        with self._mutex:
            backlog, self._backlog, self._backlog_size = self._backlog, [], 0
        try:
            frames = self._journal.turn() if self._journal is not None else []
            if backlog or frames:
                with self._database.write() as connection:
                    append_records(connection, backlog)
                    if self._journal is not None and frames:
                        ingest(connection, self._journal.path.name, frames)
            if self._journal is not None:
                self._journal.done()
        except _FAILURES as error:
            with self._mutex:
                self._backlog = backlog + self._backlog  # those calls were answered: their records must not be lost
                self._backlog_size += sum(map(len, backlog))
            _log.error("audit records cannot be written", extra={"error": repr(error)})
            raise _unavailable(error) from error

    def _flush_regularly(self) -> None:
        """Not a daemon: it ends after the main thread has, with a last flush, so that a stopping worker loses none."""
        main = threading.main_thread()
        replayed_at = time.monotonic()
        while main.is_alive() and not self._closing.wait(self._interval):
            with self._flushing:
                self._take_summaries(int(time.time()))
                self._flush_quietly()
            if time.monotonic() - replayed_at > _REPLAY_SECONDS:
                replayed_at = time.monotonic()
                self._replay_quietly()
        with self._flushing:
            self._take_summaries(int(time.time()) + 1)
            self._flush_quietly()

    def _take_summaries(self, before: int) -> None:
        """Put the events of what was counted into the backlog, whatever its size: they are few."""
        summaries = [render(call) for call in self._floods.summaries(before)]
        with self._mutex:
            self._backlog += summaries
            self._backlog_size += sum(map(len, summaries))

    def _flush_quietly(self) -> None:
        try:
            self._flush()
        except AuditUnavailable:
            pass  # logged where it happened; the records are kept for the next round

    def _replay_quietly(self) -> None:
        try:
            replay(self._database)
        except _FAILURES as error:
            _log.error("journals cannot be read", extra={"error": repr(error)})


def _unavailable(error: Exception) -> AuditUnavailable:
    return AuditUnavailable("The audit record cannot be written.", detail=repr(error))
