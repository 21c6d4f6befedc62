"""How many directory logins a worker has under way: fewer than it has threads, so that the rest goes on meanwhile."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from providers.errors import ProviderBusy


class LoginGate:
    """Places for logins: ``each`` for one directory, so that one that hangs is not all, and ``all_waiting`` for
    whatever waits for others, by default as many."""

    def __init__(self, each: int, all_waiting: threading.Semaphore | None = None) -> None:
        self._each = each
        self._all = all_waiting or threading.Semaphore(each)
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def place(self, directory: str) -> Iterator[None]:
        """A place for one login. Raises ProviderBusy at once if there is none."""
        with self._lock:
            if self._taken[directory] >= self._each or not self._all.acquire(blocking=False):
                raise ProviderBusy(
                    "Too many sign-ins are under way. Please try again.",
                    detail=f"{self._taken[directory]} of {self._each} logins of this directory wait",
                )
            self._taken[directory] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[directory] -= 1
            self._all.release()
