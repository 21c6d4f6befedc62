"""Threads that read XML and end before they have read too much.

lxml keeps every name and much white space that it ever read for as long as the thread and the parser live, and takes no
new names once that dictionary is full: hostile documents would cost a worker its memory and then its service. So each
document has a parser of its own and is read in a thread that ends after some megabytes, and with it all that it kept.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

READER_BYTES = 1_000_000
"""What one thread reads in its life; what it keeps is about as much."""

_T = TypeVar("_T")


class _Reader(threading.Thread):
    """Does one job after the other until it has read enough."""

    def __init__(self) -> None:
        super().__init__(name="saml-reader", daemon=True)
        self._jobs: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self._outcomes: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self.left = READER_BYTES
        self.start()

    def do(self, read: Callable[[], Any], size: int) -> tuple[Any, BaseException | None]:
        """What ``read`` returned, and what it raised."""
        self.left -= size
        self._jobs.put(read)
        return self._outcomes.get()

    def run(self) -> None:
        while True:
            read = self._jobs.get()
            last = self.left <= 0
            try:
                self._outcomes.put((read(), None))
            except BaseException as error:  # noqa: BLE001  # raised again where it is waited for
                self._outcomes.put((None, error))
            del read
            if last:
                return


_idle: deque[_Reader] = deque()
os.register_at_fork(after_in_child=_idle.clear)  # threads do not survive a fork


def apart(read: Callable[[], _T], size: int) -> _T:
    """What ``read`` returns or raises, done by a reader; ``size`` of what it reads, in bytes. Let no element out."""
    try:
        reader = _idle.pop()
    except IndexError:
        reader = _Reader()
    found, failure = reader.do(read, size)
    if reader.left > 0:  # one whose outcome nobody took would hand it to the next request: it never comes here
        _idle.append(reader)
    if failure is not None:
        raise failure
    return found  # type: ignore[no-any-return]  # what ``read`` returned
