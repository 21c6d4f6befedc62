"""What a database's refusals mean in the product's own words: nobody above the store knows a driver's errors.

Of what is not in the tables the cause is a fault of ours, and it stays the exception that it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, OperationalError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from broker.errors import AlreadyExists, BrokerError, Conflict, Unavailable, ValidationFailed

_SENTENCES: Mapping[type[BrokerError], str] = {
    AlreadyExists: "The request was rejected because it attempted to create a resource that already exists.",
    Conflict: "The request was rejected because another request changed what it depends on. Try again.",
    Unavailable: "The request has failed due to a temporary failure of the server.",
    ValidationFailed: "A value of the request cannot be stored.",
}

_POSTGRESQL: Mapping[str, type[BrokerError]] = {
    "23505": AlreadyExists,  # unique_violation
    "23503": Conflict,  # foreign_key_violation
    "22": ValidationFailed,  # data exception: too long, out of range, a NUL
    "54": ValidationFailed,  # program limit exceeded: too long for an index
    "08": Unavailable,  # connection exception
    "25006": Unavailable,  # read_only_sql_transaction: a standby answered
    "25P03": Unavailable,  # idle_in_transaction_session_timeout
    "28": Unavailable,  # the server knows our role no more
    "3D": Unavailable,  # nor the database
    "40": Unavailable,  # deadlock, serialization failure
    "53": Unavailable,  # insufficient resources: disk, memory, connections
    "55P03": Unavailable,  # lock_not_available
    "57": Unavailable,  # operator intervention: time is up, shutdown, starting
    "58": Unavailable,  # system error
}
"""SQLSTATE, or how it begins (PostgreSQL's documentation, appendix A)."""

_SQLITE: Mapping[str, type[BrokerError]] = {
    "SQLITE_CONSTRAINT_UNIQUE": AlreadyExists,
    "SQLITE_CONSTRAINT_PRIMARYKEY": AlreadyExists,
    "SQLITE_CONSTRAINT_FOREIGNKEY": Conflict,
    "SQLITE_CONSTRAINT_TRIGGER": Conflict,  # ON DELETE RESTRICT
    "SQLITE_TOOBIG": ValidationFailed,
    "SQLITE_BUSY": Unavailable,
    "SQLITE_CANTOPEN": Unavailable,
    "SQLITE_FULL": Unavailable,
    "SQLITE_IOERR": Unavailable,
    "SQLITE_LOCKED": Unavailable,
    "SQLITE_READONLY": Unavailable,
}
"""Result codes, or how they begin (sqlite.org/rescode.html)."""


@contextmanager
def translated() -> Iterator[None]:
    """What the database refuses within the block is raised as a BrokerError."""
    try:
        yield
    except SQLAlchemyError as error:
        kind = _meaning(error)
        if kind is None:
            raise
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise kind(_SENTENCES[kind], detail=f"the store: {str(cause).strip()}") from error


def _meaning(error: SQLAlchemyError) -> type[BrokerError] | None:
    if isinstance(error, PoolTimeout | PendingRollbackError):  # no connection, or one that broke in the transaction
        return Unavailable
    if not isinstance(error, DBAPIError):
        return None
    state = getattr(error.orig, "sqlstate", None)
    name = getattr(error.orig, "sqlite_errorname", None)
    if state or name:
        code, table = (state, _POSTGRESQL) if state else (str(name), _SQLITE)
        return next((kind for start, kind in table.items() if code.startswith(start)), None)
    if error.connection_invalidated or isinstance(error, OperationalError):
        return Unavailable  # there was no server to give a code
    return ValidationFailed if isinstance(error, DataError) else None
