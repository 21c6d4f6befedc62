"""The database: one way to read, one way to change, the same on SQLite and PostgreSQL.

**Writers take turns**, all those of one database, from the first statement to the commit. So a use case may look first
and write then (is the name free? is there room below the quota? is it still attached?) and nothing comes in between.
The audit record's appends are the exception: on PostgreSQL they wait for nobody. How a turn is taken, and what a reader
sees, is in ``sqlite.py`` and ``postgresql.py``.

What the database refuses leaves here as a BrokerError (``failures.py``): a name that is taken is AlreadyExists, a
database that does not answer is Unavailable. After a refusal the transaction is over; let it leave the block.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import URL, Connection, make_url, select, update
from sqlalchemy.exc import ArgumentError

from broker.errors import ConfigurationError
from broker.store import postgresql, sqlite
from broker.store.failures import translated
from broker.store.node import FileLock, RevisionCounter
from broker.store.shared_changes import SharedChanges
from broker.store.tables import revision

_RAISE_REVISION = update(revision).values(value=revision.c.value + 1).returning(revision.c.value)


class Database:
    """Connections to the store. Make one in each process: connections do not survive a fork.

    ``directory`` is the node's own: a relative SQLite path starts there, and its workers share a counter in it.
    """

    def __init__(
        self,
        url: str,
        directory: Path,
        *,
        password: str | None = None,
        connections: int = 8,
        statement_seconds: float = 5,
    ) -> None:
        target = _parse(url, password)
        self._lock: FileLock | None = None
        self.journals: Path | None = None
        """Where workers keep audit records on their way into a database of this node alone."""
        self.is_sqlite = target.get_backend_name() == "sqlite"
        if self.is_sqlite:
            path = directory / (target.database or "")
            self._lock = FileLock(path.with_name(path.name + ".lock"))
            self.journals = directory / "journal"
            self.engine = sqlite.open_engine(target.set(database=str(path)), connections=connections)
        else:
            self.engine = postgresql.open_engine(target, connections=connections, statement_seconds=statement_seconds)
        self._reading = sqlite.READING if self.is_sqlite else postgresql.READING
        self._counter = RevisionCounter(directory / "revision.counter")
        self._announcing = FileLock(directory / "revision.counter")
        self._changes = SharedChanges(self._changing)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view."""
        with translated(), self.engine.connect().execution_options(**self._reading) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that changes nothing that is cached; durable when the block has ended."""
        with self.exclusive(), self._writing() as connection:
            yield connection

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """Change objects: all that is done in the block is durable when it has ended, or nothing of it is."""
        with self._changes.change() as connection:
            yield connection

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        with self.exclusive():
            with self._writing() as connection:
                yield connection
                value = int(connection.execute(_RAISE_REVISION).scalar_one())
            with self._announcing():
                self._counter.note(value)

    def revision(self) -> int:
        """A number that differs after every change: at once for those of this node, else after ``poll``."""
        return self._counter.count()

    def poll(self) -> None:
        """Learn of the changes of other nodes, and of a process that died between its commit and telling us."""
        if self._stored_revision() == self._counter.seen():
            return
        with self._announcing():  # what is announced after this was read is newer
            self._counter.note(self._stored_revision())

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
        """The writers' turn on this node, where it is taken before the transaction begins."""
        return self._lock() if self._lock else nullcontext()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with translated(), self.engine.connect().execution_options(writes=True) as connection:
            with connection.begin():
                yield connection
            if not self.is_sqlite:
                postgresql.flush(connection)


def _parse(url: str, password: str | None) -> URL:
    """Raises ConfigurationError; the message never has the URL, for there may be a password in it."""
    try:
        target = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError("store.url is not a URL that SQLAlchemy can read") from None
    if target.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg"):
        raise ConfigurationError(f"store.url: {target.drivername} is neither sqlite nor postgresql+psycopg")
    return target if password is None else target.set(password=password)
