"""A private PostgreSQL server on loopback, in a temporary directory: the store's trials run with ``fsync=on``.

The server refuses to run as root; there it runs as the user ``postgres``, whom its package brings.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from realm.components import LOOPBACK, free_port, missing

_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
_START_SECONDS = 30
_PASSWORD = "Passw0rd!"
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 100
shared_buffers = 32MB
fsync = on
synchronous_commit = on
"""


class PostgresServer:
    """A cluster of its own; ``make_database`` makes empty databases in it."""

    def __init__(self) -> None:
        self._programs = _programs()
        self.port = free_port()
        self._home = Path(tempfile.mkdtemp(prefix="accredit-postgres-"))
        self._names = (f"test_{number}" for number in itertools.count())
        self._account: dict[str, Any] = {"user": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._account:
            shutil.chown(self._home, "postgres")
        self._process: subprocess.Popen[bytes] | None = None
        self._initialize()
        self.start()

    def url(self, database: str, *, password: str = _PASSWORD, port: int = 0) -> str:
        return f"postgresql+psycopg://postgres:{password}@{LOOPBACK}:{port or self.port}/{database}"

    def start(self) -> None:
        """Return when the server answers."""
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._home / "data", "-p", str(self.port)],
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._account,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(self._home / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Break connections off and stop, in order."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Stop without a checkpoint: what was not flushed is lost."""
        self._end(signal.SIGQUIT)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """The server takes connections, and answers nothing."""
        assert self._process is not None
        group = [self._process.pid, *_children(self._process.pid)]
        for pid in group:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in group:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def make_database(self) -> str:
        """A new database's name."""
        name = next(self._names)
        self.execute(f"CREATE DATABASE {name}")
        return name

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        import psycopg

        with psycopg.connect(**self._parameters(database), autocommit=True) as connection:
            found = connection.execute(statement)  # type: ignore[call-overload]
            return found.fetchall() if found.description else []

    def close(self) -> None:
        self.crash()  # nobody needs the checkpoint
        shutil.rmtree(self._home, ignore_errors=True)

    def _initialize(self) -> None:
        password_file = self._home / "password"
        password_file.write_text(_PASSWORD)
        if self._account:
            shutil.chown(password_file, "postgres")  # whatever the umask is at this moment
        options = ["-U", "postgres", f"--pwfile={password_file}", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"]
        done = subprocess.run(
            [self._programs / "initdb", "-D", self._home / "data", "--locale=C.UTF-8", *options],
            cwd=self._home,
            capture_output=True,
            text=True,
            **self._account,
        )
        if done.returncode:
            raise RuntimeError(f"initdb: {done.stdout}{done.stderr}")
        with (self._home / "data" / "postgresql.conf").open("a") as file:
            file.write(_CONFIGURATION)

    def _parameters(self, database: str) -> dict[str, Any]:
        return {
            "host": LOOPBACK,
            "port": self.port,
            "user": "postgres",
            "password": _PASSWORD,
            "dbname": database,
            "connect_timeout": 5,
        }

    def _answers(self) -> bool:
        import psycopg

        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(_START_SECONDS)


def empty(url: str, directory: Path) -> None:
    """Migrate the database and take every row out of it."""
    from broker.store.engine import Database
    from broker.store.schema import migrate
    from broker.store.tables import metadata, revision

    database = Database(url, directory)
    migrate(database)
    with database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        connection.execute(revision.insert().values(id=1, value=1))
    database.close()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _programs() -> Path:
    """Where the server's programs are; without them the test is skipped by name, or fails where CI runs."""
    if (_PROGRAMS / "initdb").exists():
        return _PROGRAMS
    found = shutil.which("initdb")
    if found is None:
        missing("PostgreSQL 15")
    return Path(str(found)).resolve().parent
