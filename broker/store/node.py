"""What the worker processes of one node share: a lock, and the last revision that they have seen."""

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
    """The last revision that this node has seen, in a memory-mapped file that its workers share.

    Reading costs nothing, so a request can check its caches each time. A torn read is only a number that differs.
    """

    _FORMAT = struct.Struct("Q")

    def __init__(self, path: Path) -> None:
        with path.open("ab") as file:
            if file.tell() < self._FORMAT.size:
                file.write(bytes(self._FORMAT.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), self._FORMAT.size)

    def read(self) -> int:
        return int(self._FORMAT.unpack_from(self._map)[0])

    def write(self, value: int) -> None:
        self._FORMAT.pack_into(self._map, 0, value)

    def close(self) -> None:
        self._map.close()
