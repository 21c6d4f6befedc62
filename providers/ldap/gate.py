"""How many directory logins a worker has under way: fewer than it has threads, so that the rest goes on meanwhile."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from providers.errors import ProviderBusy


class LoginGate:
    """Places for logins: ``total`` of them, and ``each`` for one directory, so that one that hangs is not all."""

    def __init__(self, total: int, each: int) -> None:
        self._total, self._each = max(total, 1), max(each, 1)
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def place(self, directory: str) -> Iterator[None]:
        """A place for one login. Raises ProviderBusy at once if there is none."""
        with self._lock:
            if self._taken[directory] >= self._each or self._taken.total() >= self._total:
                raise ProviderBusy(
                    "Too many sign-ins are under way. Please try again.",
                    detail=f"{self._taken[directory]} logins of this directory and {self._taken.total()} of all wait",
                )
            self._taken[directory] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[directory] -= 1
