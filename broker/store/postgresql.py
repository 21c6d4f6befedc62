"""PostgreSQL, by psycopg 3: writers take turns, readers have a snapshot, and nobody waits for ever.

**Turns.** A transaction that changes or writes objects begins with one advisory lock of the database, held until it
ends, and runs as READ COMMITTED: every statement after the lock sees all that earlier writers committed. So "look, then
insert" is safe in any use case, on every node; with SERIALIZABLE each use case would have to be written to be run
again. Changes are rare. Readers and the audit record's appends take no lock and wait for nobody.

**Durability.** A turn does not include the wait for the disk: the commit is asynchronous and gives the turn away, and
before the block ends the log is flushed up to it (``flush``), once for all who wait at that moment. Others may see a
change that a crash then takes back, but whatever is acknowledged, credentials that rest on the change too, lies after
it in the log, and so on disk with it.

**Time.** The server ends a statement after ``statement_seconds``, and a transaction that its client forgot; a server
that has stopped answering (frozen, or cut off) is given up a second later, because the server's own limits would
not help then. A connection is tried before it is used, so that the first request after an outage is answered.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from broker.errors import ConfigurationError

READING: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""Execution options of a transaction that reads: one snapshot for all its statements, as on SQLite."""

_WRITERS = 0x41434352
"""The advisory lock of those who write ("ACCR"): of this database alone."""

_POOL_SECONDS = 5
_FORGOTTEN_SECONDS = 30
"""How long a client that is gone, or hangs, may hold the writers' turn."""
_OVERFLOW = 2

_CONNECTING = {
    "application_name": "accredit",
    "connect_timeout": "3",  # seconds, for each address
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "8000",  # milliseconds without an acknowledgement
}
"""libpq's parameters; those of the URL's query take precedence."""


def open_engine(url: URL, *, connections: int, statement_seconds: float) -> Engine:
    """Raises ConfigurationError if the driver is not installed."""
    given = {name: value for name, value in _CONNECTING.items() if name not in url.query}
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg").update_query_dict(given),
            isolation_level="READ COMMITTED",  # whatever the server's default is: ``_begin`` depends on it
            pool_size=connections,
            max_overflow=_OVERFLOW,
            pool_timeout=_POOL_SECONDS,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    except ModuleNotFoundError:
        raise ConfigurationError("store.url: PostgreSQL needs a driver: pip install 'accredit[postgresql]'") from None
    event.listen(engine, "do_connect", _connector(statement_seconds + 1))
    event.listen(engine, "connect", _preparation(statement_seconds))
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("writes", False) and options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(
            f"SELECT pg_advisory_xact_lock({_WRITERS}), set_config('synchronous_commit', 'off', true)"
        )


def flush(connection: Connection) -> None:
    """Return when all that was committed so far is on disk.

    A transaction that has written to the log, if only a message that nobody reads, and commits synchronously.
    """
    connection.execution_options(isolation_level="AUTOCOMMIT")
    connection.exec_driver_sql("SELECT pg_logical_emit_message(true, 'accredit', '')")


def _preparation(statement_seconds: float) -> Any:
    """Settings of a new session. A commit is on disk when it returns, even where the server's default is otherwise."""
    limits = f"SET statement_timeout = {int(statement_seconds * 1000)}"
    forgotten = f"SET idle_in_transaction_session_timeout = {_FORGOTTEN_SECONDS * 1000}"
    durable = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"

    def prepare(connection: Any, _record: object) -> None:
        connection.autocommit = True
        for statement in (limits, forgotten, durable):
            connection.execute(statement)
        connection.autocommit = False

    return prepare


def _connector(patience: float) -> Any:
    """Makes connections that give up on a server which has not answered for ``patience`` seconds."""
    import psycopg

    class Connection(psycopg.Connection[Any]):
        def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
            return super().wait(self._limited(gen), *arguments, **options)

        def _limited(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
            """psycopg resumes a generator with 0 whenever 0.1 s have passed without news from the server."""
            limit = time.monotonic() + patience
            try:
                wanted = next(gen)
                while True:
                    news = yield wanted
                    if not news and time.monotonic() > limit:
                        self.pgconn.finish()  # it is in the midst of something and cannot be used again
                        raise psycopg.OperationalError("the server does not answer in time")
                    wanted = gen.send(news)
            except StopIteration as done:
                return done.value

    def connect(_dialect: object, _record: object, arguments: Any, parameters: Any) -> Any:
        return Connection.connect(*arguments, **parameters)

    return connect
