"""The database that the settings name, opened: for workers, and for commands that need it once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from broker.errors import BrokerError, ConfigurationError, Unavailable
from broker.settings import STORE_PASSWORD_VARIABLE, Settings
from broker.store.engine import Database

_COMMAND_CONNECTIONS = 2
_COMMAND_SECONDS = 120.0
"""A command may wait for a migration that another node has begun."""
_POSTGRESQL_CONNECTIONS = 8


def worker_database(settings: Settings) -> Database:
    """For a worker. SQLite: a connection for each thread; of PostgreSQL's, which are dear, a request borrows one."""
    threads = settings.server.threads + 2
    connections = threads if settings.store.url.startswith("sqlite") else min(threads, _POSTGRESQL_CONNECTIONS)
    password = _password(settings, os.environ)
    return Database(settings.store.url, settings.directory, password=password, connections=connections)


@contextmanager
def command_database(settings: Settings) -> Iterator[Database]:
    """For a command. Raises BrokerError in words for administrators if the store does not answer."""
    database = Database(
        settings.store.url,
        settings.directory,
        password=_password(settings, os.environ),
        connections=_COMMAND_CONNECTIONS,
        statement_seconds=_COMMAND_SECONDS,
    )
    try:
        yield database
    except Unavailable as error:
        raise BrokerError(f"the store does not answer: {error.detail}") from error
    finally:
        database.close()


def _password(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """The store's password, if it is not in the URL or left to the driver (``~/.pgpass``)."""
    if (given := environ.get(STORE_PASSWORD_VARIABLE)) is not None:
        return given
    if not settings.store.password_file:
        return None
    path = settings.file(settings.store.password_file)
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"store.password_file: {path} cannot be read: {error}") from None
    if mode & 0o077:
        raise ConfigurationError(f"store.password_file: others may read {path}: chmod 600 {path}")
    return text.strip()
