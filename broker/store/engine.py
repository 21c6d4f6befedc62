"""The database: one way to read, one way to change.

SQLite runs in WAL mode with ``synchronous=FULL``: with NORMAL a commit is not on disk when it returns. A change takes
the write lock at its beginning (``BEGIN IMMEDIATE``), so that two writers queue instead of failing half-way; they
queue on a file lock, because SQLite's own busy handler sleeps and polls, and the workers of a node write all the time.
"""

from __future__ import annotations

import fcntl
import mmap
import struct
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, select, update

from broker.store.tables import revision

_BUSY_SECONDS = 10


class _FileLock:
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


class _Counter:
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


class Database:
    """Connections to the store. Make one in each process: connections do not survive a fork."""

    def __init__(self, url: str, directory: Path, *, connections: int = 8) -> None:
        target = make_url(url)
        self._lock: _FileLock | None = None
        self.journals: Path | None = None
        """Where workers keep audit records on their way into a database of this node alone."""
        self.is_sqlite = target.get_backend_name() == "sqlite"
        if self.is_sqlite:
            path = directory / (target.database or "")
            target = target.set(database=str(path))
            self._lock = _FileLock(path.with_name(path.name + ".lock"))
            self.journals = directory / "journal"
        self._counter = _Counter(directory / "revision.counter")
        self._announcing = _FileLock(directory / "revision.counter")
        self.engine: Engine = create_engine(target, pool_size=connections, max_overflow=2, hide_parameters=True)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that changes nothing that is cached; durable when the block has ended."""
        with self.exclusive(), self._writing() as connection:
            yield connection

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """A transaction that changes objects: all of it is durable when the block has ended, or nothing of it is."""
        with self.exclusive(), self._announcing():
            with self._writing() as connection:
                yield connection
                connection.execute(update(revision).values(value=revision.c.value + 1))
                value = int(connection.execute(select(revision.c.value)).scalar_one())
            self._counter.write(value)

    def revision(self) -> int:
        """A number that differs after every change: at once for those of this node, else after ``poll``."""
        return self._counter.read()

    def poll(self) -> None:
        """Learn of the changes of other nodes, and of a process that died between its commit and telling us."""
        if self._stored_revision() == self._counter.read():
            return
        with self._announcing():  # no change of this node is now between its commit and its announcement
            self._counter.write(self._stored_revision())

    def _stored_revision(self) -> int:
        with self.read() as connection:
            return int(connection.execute(select(revision.c.value)).scalar_one())

    def close(self) -> None:
        self.engine.dispose()
        self._counter.close()
        self._announcing.close()
        if self._lock:
            self._lock.close()

    def exclusive(self) -> AbstractContextManager[None]:
        """The writers' turn on this node; databases that queue their writers themselves need none."""
        return self._lock() if self._lock else nullcontext()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not guessed by the driver
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    writes = options.get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
