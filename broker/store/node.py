"""What the worker processes of one node share: a lock, and what they know of the store's revision."""

from __future__ import annotations

import fcntl
import mmap
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileLock:
    """Exclusive among the threads of this process and among processes; released by the kernel if one dies."""

    def __init__(self, path: Path) -> None:
        self._threads = threading.Lock()
        self._file = path.open("ab")

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._threads:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        self._file.close()


class RevisionCounter:
    """The revision that this node has seen last, and how often it saw another, in a file that its workers map.

    Reading costs nothing, so a request can check its caches each time. They are checked against the count, for a
    revision may come again with other contents: after a backup was restored, or after a crash.
    """

    _FORMAT = struct.Struct("QQ")

    def __init__(self, path: Path) -> None:
        with path.open("ab") as file:
            if file.tell() < self._FORMAT.size:
                file.write(bytes(self._FORMAT.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), self._FORMAT.size)

    def count(self) -> int:
        return int(self._FORMAT.unpack_from(self._map)[1])

    def seen(self) -> int:
        return int(self._FORMAT.unpack_from(self._map)[0])

    def note(self, revision: int) -> None:
        """For one at a time."""
        self._FORMAT.pack_into(self._map, 0, revision, self.count() + 1)

    def close(self) -> None:
        self._map.close()
