"""The audit log: records become durable in groups, before the answers that depend on them leave.

Whoever finds no commit under way leads one: it takes all records that wait, commits them in one transaction and
wakes their requests; the first of those that came meanwhile leads the next. So one flush to disk serves all requests
that wait at the time, and a lone request waits for nobody.
"""

from __future__ import annotations

import logging
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from broker.errors import AuditUnavailable
from broker.store.audit_events import Appender
from broker.store.engine import Database

_MAX_BACKLOG_CHARACTERS = 16 * 1024 * 1024
"""Of records of read-only calls, kept while the store cannot take them; beyond it those calls are refused."""

_log = logging.getLogger(__name__)


class _Ticket:
    """A request that waits for its record (or, without one, for all that were taken before)."""

    __slots__ = ("error", "latch", "record", "settled")

    def __init__(self, record: str | None) -> None:
        self.record = record
        self.latch = threading.Lock()
        self.latch.acquire()
        self.settled = False
        self.error: Exception | None = None


class AuditLog:
    """Appends event records (JSON texts) to the store."""

    def __init__(self, database: Database, *, read_flush_seconds: float) -> None:
        self._database = database
        self._appender = Appender(database)
        self._interval = read_flush_seconds
        self._mutex = threading.Lock()
        self._backlog: list[str] = []
        self._backlog_size = 0
        self._backlog_since = 0.0
        self._tickets: list[_Ticket] = []
        self._committing = False
        self._closing = threading.Event()
        self._flusher = threading.Thread(target=self._flush_reads, name="audit-flusher")
        self._flusher.start()

    def record(self, record: str) -> None:
        """Return when the record is on disk. Raises AuditUnavailable, and then nothing may be issued."""
        self._wait_for(_Ticket(record))

    def record_soon(self, record: str) -> None:
        """Take the record of a read-only call: it is on disk within the flush interval. Raises AuditUnavailable.

        A call that finds records overdue, because the flusher does not get its turn under load, writes them itself.
        """
        now = time.monotonic()
        with self._mutex:
            if self._backlog_size >= _MAX_BACKLOG_CHARACTERS:
                raise AuditUnavailable("The audit record cannot be written.", detail="the backlog is full")
            if not self._backlog:
                self._backlog_since = now
            self._backlog.append(record)
            self._backlog_size += len(record)
            overdue = now - self._backlog_since > self._interval
        if overdue:
            self._flush_quietly()

    def flush(self) -> None:
        """Return when everything taken so far is on disk. Raises AuditUnavailable."""
        if self._backlog or self._committing:
            self._wait_for(_Ticket(None))

    def close(self) -> None:
        self._closing.set()
        self._flusher.join()
        self._appender.close()

    def _wait_for(self, ticket: _Ticket) -> None:
        with self._mutex:
            self._tickets.append(ticket)
            leads = not self._committing
            self._committing = True
        if not leads:
            ticket.latch.acquire()
            leads = not ticket.settled
        if leads:
            self._lead()
        if ticket.error is not None:
            raise AuditUnavailable("The audit record cannot be written.", detail=repr(ticket.error)) from ticket.error

    def _lead(self) -> None:
        backlog: list[str] = []
        tickets: list[_Ticket] = []
        error: Exception | None = RuntimeError("interrupted")
        try:
            with self._database.exclusive():
                with self._mutex:  # only now: those that came while another process wrote go along
                    backlog, self._backlog, self._backlog_size = self._backlog, [], 0
                    tickets, self._tickets = self._tickets, []
                records = backlog + [ticket.record for ticket in tickets if ticket.record is not None]
                if records:
                    self._appender.append(records)
            error = None
        except (SQLAlchemyError, OSError) as caught:
            error = caught
            _log.error("audit record cannot be written", extra={"error": repr(caught)})
        finally:
            self._hand_over(backlog, tickets, error)

    def _hand_over(self, backlog: list[str], tickets: list[_Ticket], error: Exception | None) -> None:
        """Wake those whose records were written, and let the first of the others lead."""
        with self._mutex:
            if error is not None:
                self._backlog = backlog + self._backlog  # those calls were answered: their records must not be lost
                self._backlog_size += sum(map(len, backlog))
                self._backlog_since = time.monotonic()  # the next try comes with the next interval
                if not tickets:  # the turn itself could not be had
                    tickets, self._tickets = self._tickets, []
            heir = self._tickets[0] if self._tickets else None
            self._committing = heir is not None
        for ticket in tickets:
            ticket.settled, ticket.error = True, error
            ticket.latch.release()
        if heir is not None:
            heir.latch.release()

    def _flush_reads(self) -> None:
        """Not a daemon: it ends after the main thread has, with a last flush, so that a stopping worker loses none."""
        main = threading.main_thread()
        while main.is_alive() and not self._closing.wait(self._interval):
            self._flush_quietly()
        self._flush_quietly()

    def _flush_quietly(self) -> None:
        try:
            self.flush()
        except AuditUnavailable:
            pass  # logged where it happened; the records are kept for the next round
