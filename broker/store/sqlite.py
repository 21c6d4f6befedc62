"""SQLite: WAL mode with ``synchronous=FULL``, for with NORMAL a commit is not on disk when it returns.

A transaction that writes takes the write lock at its beginning (``BEGIN IMMEDIATE``), so that two writers queue instead
of failing half-way. Before that they queue on a file lock (``Database.exclusive``), because SQLite's own busy handler
sleeps and polls, and the workers of a node write all the time.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

READING: dict[str, Any] = {}
"""Execution options of a transaction that reads: in WAL mode every one has a snapshot."""

_BUSY_SECONDS = 10
_OVERFLOW = 2


def open_engine(url: URL, *, connections: int) -> Engine:
    engine = create_engine(url, pool_size=connections, max_overflow=_OVERFLOW, hide_parameters=True)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not guessed by the driver
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    if options.get("writes", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:  # straight to the driver: it waits for nothing, so there is no refusal to translate
        cursor = connection.connection.cursor()
        cursor.execute("BEGIN")
        cursor.close()
