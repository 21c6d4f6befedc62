"""The audit record's rows, added in groups: one statement, one transaction, one flush to disk."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select, update

from broker.store.engine import Database
from broker.store.failures import translated
from broker.store.tables import audit_events, audit_journals

Frame = tuple[int, str]
"""A record in a journal, and its number there."""

_ROWS_A_STATEMENT = (256, 64, 16, 4, 1)
"""A statement for each of these numbers and no other: connections keep what they have prepared."""


class Appender:
    """Adds records on a connection of its own. For one thread at a time, in its turn to write.

    On SQLite it is kept open; one to a server, which may be gone meanwhile, is tried by the pool each time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None

    def append(self, records: Sequence[str]) -> None:
        """Return when the records are on disk. Raises SQLAlchemyError, and then none of them is."""
        if not self._database.is_sqlite:
            with self._connect() as borrowed:
                self._add(borrowed, records)
            return
        connection, self._connection = self._connection or self._connect(), None
        self._add(connection, records)
        self._connection = connection  # one that failed is not used again

    def _add(self, connection: Connection, records: Sequence[str]) -> None:
        if len(records) in _ROWS_A_STATEMENT:
            append_records(connection, records)  # a statement is a transaction of its own
        else:
            with self._database.engine.begin() as transaction:
                append_records(transaction, records)

    def _connect(self) -> Connection:
        return self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def append_records(connection: Connection, records: Sequence[str]) -> None:
    """Add records within the connection's transaction.

    Written out for the driver: compiling the statement would cost as much as executing it, and an ``executemany``
    would give up the interpreter once a row.
    """
    now = int(time.time())
    row = "(?, ?)" if connection.dialect.paramstyle == "qmark" else "(%s, %s)"
    start = 0
    while start < len(records):
        count = next(size for size in _ROWS_A_STATEMENT if size <= len(records) - start)
        values = [value for record in records[start : start + count] for value in (now, record)]
        connection.exec_driver_sql(
            f"INSERT INTO audit_events (event_time, record) VALUES {', '.join([row] * count)}",  # noqa: S608  # placeholders alone
            tuple(values),
        )
        start += count


def ingest(connection: Connection, journal: str, frames: Sequence[Frame], *, alive: bool = False) -> int:
    """Add the records of a journal that are not here yet. The number of the last frame that is, then.

    It is kept in the same transaction, so that a frame is added once, also if this is broken off and done again.
    ``alive``: its worker wrote while the frames were read, so one may have been missed that is older than the last;
    nothing behind a gap is taken then, for the number would say that the gap is here too.
    """
    table = audit_journals.c
    taken = connection.execute(select(table.taken).where(table.name == journal)).scalar_one_or_none()
    if taken is None:
        taken = 0
        connection.execute(insert(audit_journals).values(name=journal, taken=taken))
    new = [(number, record) for number, record in frames if number > taken]
    if alive:
        new = [frame for expected, frame in enumerate(new, taken + 1) if frame[0] == expected]
    if new:
        append_records(connection, [record for _, record in new])
        taken = new[-1][0]
        connection.execute(update(audit_journals).where(table.name == journal).values(taken=taken))
    return int(taken)


class Unsettled(Exception):
    """Transactions that began before are still at it."""


def settled_sequence(database: Database) -> int:
    """A sequence up to which nothing will be added any more; 0 if there are no events.

    SQLite has one writer. On PostgreSQL sequences are given before the transaction commits, so those who are adding
    have to end first: an insert locks the table before it takes a number, hence whoever has a number up to the one
    seen holds the lock now, or has ended. Raises Unsettled if they take long, and Unavailable.
    """
    with translated(), database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        last = int(connection.execute(select(func.coalesce(func.max(audit_events.c.sequence), 0))).scalar_one())
        if not database.is_sqlite:
            _await_adding(connection)
    return last


def _await_adding(connection: Connection) -> None:
    """Return when all transactions have ended that add events now."""
    adding = set(connection.exec_driver_sql(_ADDING).scalars())
    deadline = time.monotonic() + _SETTLE_SECONDS
    while adding:
        if time.monotonic() > deadline:
            raise Unsettled
        time.sleep(_SETTLE_STEP_SECONDS)
        adding &= set(connection.exec_driver_sql(_ADDING).scalars())


def read_events(connection: Connection, after: int, last: int, limit: int) -> list[tuple[int, str]]:
    """Sequence and record of the events after ``after``, up to ``last``."""
    column = audit_events.c
    query = (
        select(column.sequence, column.record)
        .where(column.sequence > after, column.sequence <= last)
        .order_by(column.sequence)
        .limit(limit)
    )
    return [(sequence, record) for sequence, record in connection.execute(query)]


def count_events(connection: Connection, after: int) -> int:
    """How many events have a higher sequence than ``after``."""
    query = select(func.count()).select_from(audit_events).where(audit_events.c.sequence > after)
    return int(connection.execute(query).scalar_one())


def find_record(connection: Connection, sequence: int) -> str | None:
    found = connection.execute(select(audit_events.c.record).where(audit_events.c.sequence == sequence))
    return found.scalar_one_or_none()


def records_of(connection: Connection, sequences: Sequence[int]) -> dict[int, str]:
    """The records of these events, as far as they are there."""
    column = audit_events.c
    found: dict[int, str] = {}
    for at in range(0, len(sequences), _SEQUENCES_A_STATEMENT):
        chosen = column.sequence.in_(sequences[at : at + _SEQUENCES_A_STATEMENT])
        found |= {
            row.sequence: row.record for row in connection.execute(select(column.sequence, column.record).where(chosen))
        }
    return found


_SEQUENCES_A_STATEMENT = 256
_SETTLE_SECONDS = 2.0
_SETTLE_STEP_SECONDS = 0.005

_ADDING = """
SELECT virtualtransaction FROM pg_locks
WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND relation = 'audit_events'::regclass
AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()
"""
