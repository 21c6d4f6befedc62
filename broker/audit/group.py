"""Group commit: what waits for the disk at the same time goes there together.

Whoever finds no write under way leads one: it takes all records that wait, writes them and wakes their requests; the
first of those that came meanwhile leads the next. So one flush to disk serves all requests that wait at the time, and a
lone request waits for nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

_T = TypeVar("_T")


class _Ticket(Generic[_T]):
    """A request that waits for its record."""

    __slots__ = ("error", "latch", "record", "settled")

    def __init__(self, record: _T) -> None:
        self.record = record
        self.latch = threading.Lock()
        self.latch.acquire()
        self.settled = False
        self.error: Exception | None = None


class GroupCommit(Generic[_T]):
    """Hands records to ``write`` in groups, one group at a time. ``write`` returns when they are on disk, or raises
    SQLAlchemyError or OSError: then none of them counts."""

    def __init__(self, write: Callable[[list[_T]], None]) -> None:
        self._write = write
        self._mutex = threading.Lock()
        self._waiting: list[_Ticket[_T]] = []
        self._writing = False

    def submit(self, record: _T) -> None:
        """Return when the record is on disk. Raises what ``write`` raised: then the record is not."""
        ticket = _Ticket(record)
        with self._mutex:
            self._waiting.append(ticket)
            leads = not self._writing
            self._writing = True
        if not leads:
            ticket.latch.acquire()
            leads = not ticket.settled
        if leads:
            self._lead()
        if ticket.error is not None:
            raise ticket.error

    def _lead(self) -> None:
        with self._mutex:
            group, self._waiting = self._waiting, []
        error: Exception | None = InterruptedError("the write was broken off")
        try:
            self._write([ticket.record for ticket in group])
            error = None
        except (SQLAlchemyError, OSError) as caught:
            error = caught
        finally:  # whatever happens, no waiting call takes it for success
            self._hand_over(group, error)

    def _hand_over(self, group: list[_Ticket[_T]], error: Exception | None) -> None:
        """Wake those whose records were written, and let the first of the others lead."""
        with self._mutex:
            heir = self._waiting[0] if self._waiting else None
            self._writing = heir is not None
        for ticket in group:
            ticket.settled, ticket.error = True, error
            ticket.latch.release()
        if heir is not None:
            heir.latch.release()
