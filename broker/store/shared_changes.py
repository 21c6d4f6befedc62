"""Changes of one process that come at the same time share a transaction, its turn and its commit.

Waiting for the disk is most of what a change costs, and of the writers' turn. So a change that is done, while the next
one waits for its turn, leaves the transaction open to it; the last commits for all, and only then does any of them
return. One that fails is taken back alone, to the savepoint that it began with. The first in a transaction needs none:
so a change that meets no other costs no more than one by itself.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection

from broker.store.failures import translated

Begin = Callable[[], AbstractContextManager[Connection]]
"""A transaction: committed when the block ends, rolled back if it raises."""

_MOST = 32
"""Changes in one transaction: other processes wait for their turn meanwhile."""


class _Shared:
    """An open transaction and those who wait for its commit."""

    def __init__(self, transaction: AbstractContextManager[Connection]) -> None:
        self._transaction = transaction
        self.connection = transaction.__enter__()
        self.changes = 0
        self._settled = threading.Event()
        self._error: Exception | None = None

    def commit(self) -> None:
        try:
            self._transaction.__exit__(None, None, None)
        except Exception as error:  # noqa: BLE001  # raised in the thread of everybody whose change it was
            self._error = error
        self._settled.set()

    def roll_back(self) -> None:
        """Within an ``except`` block; raises what the transaction makes of its error."""
        self._transaction.__exit__(*sys.exc_info())

    def wait(self) -> None:
        self._settled.wait()
        if self._error is not None:
            raise self._error


class SharedChanges:
    """Runs changes one after the other, in transactions that ``begin`` opens."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._turn = threading.Lock()
        self._mutex = threading.Lock()
        self._waiting = 0
        self._open: _Shared | None = None

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """All that is done in the block is durable when it has ended, or nothing of it is.

        Raises BrokerError for what the database refuses.
        """
        self._take_turn()
        try:
            shared = self._open or _Shared(self._begin())
        except BaseException:
            self._turn.release()
            raise
        try:
            if shared is not self._open:
                yield from self._first(shared)
            else:
                with translated(), shared.connection.begin_nested():
                    yield shared.connection
                shared.changes += 1
        finally:
            self._give_turn_away(shared)
        shared.wait()

    def _first(self, shared: _Shared) -> Iterator[Connection]:
        try:
            yield shared.connection
        except BaseException:
            shared.roll_back()
            raise
        shared.changes = 1

    def _take_turn(self) -> None:
        with self._mutex:
            self._waiting += 1
        self._turn.acquire()
        with self._mutex:
            self._waiting -= 1

    def _give_turn_away(self, shared: _Shared) -> None:
        """Commit what is there, unless somebody waits who can go on with it."""
        self._open = None
        try:
            if shared.changes and not self._goes_on(shared):
                shared.commit()
        finally:
            self._turn.release()

    def _goes_on(self, shared: _Shared) -> bool:
        with self._mutex:
            joined = self._waiting > 0 and shared.changes < _MOST
        if joined:
            self._open = shared
        return joined
