"""Makes data directories with ``accredit init`` and serves them with ``accredit serve``, as an administrator does."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from realm.components import BIN, LOOPBACK, free_port

from broker.audit.journal import replay
from broker.store.engine import Database

ACCOUNT = "123456789012"
REGION = "eu-central-1"
_START_SECONDS = 30
_STOP_SECONDS = 40
_EVENT_SECONDS = 3.0
_SESSION = boto3.session.Session(region_name=REGION)


@dataclass(frozen=True, slots=True)
class Keys:
    """An access key, with a session token if it is temporary."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Keys:
        """Those in an answer of STS."""
        found = answer["Credentials"]
        return cls(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])

    def environment(self) -> dict[str, str]:
        """As the environment variables that AWS's clients read."""
        found = {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}
        return found | ({"AWS_SESSION_TOKEN": self.session_token} if self.session_token else {})


NOBODY = Keys("unused", "unused")


def accredit(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run the command line and return what it printed."""
    done = subprocess.run(
        [BIN / "accredit", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=_environment() | dict(environment or {}),
    )
    if done.returncode:
        raise RuntimeError(f"accredit {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
    return done.stdout


@dataclass
class BrokerServer:
    """A data directory of its own below ``home`` and, between ``start`` and ``stop``, its server.

    ``options`` are those of ``accredit serve``; ``settings`` go into the configuration file as ``section.key``.
    """

    home: Path
    objects: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    scheme: str = "http"
    command: tuple[str | Path, ...] = (BIN / "accredit",)
    store_url: str = ""
    joins: BrokerServer | None = None
    """Another node of the same store: this one gets copies of its configuration and master key."""

    def __post_init__(self) -> None:
        self.directory = self.home / "data"
        self.log_file = self.home / "server.log"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._clients: list[Any] = []
        if self.joins is not None:
            self._join(self.joins)
            return
        options = ["--account-id", ACCOUNT, "--json", *(["--store-url", self.store_url] if self.store_url else [])]
        answer = json.loads(accredit("init", self.directory, *options, environment=self.environment))
        self.root = Keys(answer["access_key_id"], answer["secret_access_key"])
        self._write_settings()
        self.add(self.objects)

    def _join(self, other: BrokerServer) -> None:
        self.root, self.store_url, self.environment = other.root, other.store_url, other.environment
        self.directory.mkdir(mode=0o700)
        for path in other.directory.iterdir():
            if path.name != "revision.counter":
                shutil.copy2(path, self.directory)

    @property
    def host(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def database(self) -> Path:
        return self.directory / "accredit.db"

    def start(self) -> None:
        """Return when the server is ready."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "serve", self.directory, "--bind", self.host, *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment() | dict(self.environment),
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the broker did not start: {self.log()[-4000:]}")
            time.sleep(0.02)

    def stop(self) -> int:
        """Ask the server to drain and stop; its exit status."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        if self.process is None:
            return 0
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
            raise

    def restart(self) -> None:
        self.stop()
        self.start()

    def reload(self) -> None:
        """Have the configuration read anew (SIGHUP)."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def add(self, objects: str) -> None:
        """Append objects to the configuration file."""
        with (self.directory / "accredit.toml").open("a", encoding="utf-8") as file:
            file.write(f"\n{objects}\n")

    def workers(self) -> list[int]:
        """The process ids of the workers: the server's children that serve."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found = []
        for child in map(int, children):
            with contextlib.suppress(OSError):
                if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(child)
        return found

    def client(self, keys: Keys = NOBODY, *, url: str = "", service: str = "sts", **config: Any) -> Any:
        """A boto3 client that does not retry."""
        client = _SESSION.client(
            service,
            endpoint_url=url or self.url,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            aws_session_token=keys.session_token,
            config=Config(retries={"max_attempts": 0}, proxies={}, **config),
        )
        self._clients.append(client)
        return client

    def log(self) -> str:
        """What the server wrote to its standard output and error."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def events(self, request_id: str = "", **fields: object) -> list[dict[str, Any]]:
        """The audit events on disk at this moment, the oldest first: all, or those of a request, or with fields."""
        if not self.store_url:
            with contextlib.closing(Database(f"sqlite:///{self.database.name}", self.directory)) as database:
                replay(database)
        texts = self.query("SELECT record FROM audit_events ORDER BY sequence")
        wanted = {"requestID": request_id, **fields} if request_id else fields
        found = (json.loads(text) for (text,) in texts)
        return [event for event in found if wanted.items() <= event.items()]

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What the store answers, whichever it is; a parameter is a ``?``."""
        with contextlib.closing(self._connect()) as connection:
            return list(connection.execute(statement, parameters).fetchall())

    def _connect(self) -> Any:
        if not self.store_url:
            return sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)
        import psycopg

        class Cursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
                return super().execute(query.replace("?", "%s"), params, **options)

        url, password = self.store_url.replace("+psycopg", "", 1), self.environment.get("ACCREDIT_STORE_PASSWORD")
        return psycopg.connect(url, password=password, cursor_factory=Cursor)

    def event(self, request_id: str) -> dict[str, Any]:
        """The one event of a request; for a read-only call it may take 100 ms to be on disk."""
        deadline = time.monotonic() + _EVENT_SECONDS
        while not (found := self.events(request_id)):
            if time.monotonic() > deadline:
                raise AssertionError(f"no audit event of request {request_id}")
            time.sleep(0.02)
        assert len(found) == 1, found
        return found[0]

    def is_ready(self) -> bool:
        """Whether somebody answers."""
        if self.scheme == "https":
            return '"message":"serving"' in self.log().replace(": ", ":")
        try:
            with _OPENER.open(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _write_settings(self) -> None:
        path = self.directory / "accredit.toml"
        text = path.read_text(encoding="utf-8")
        for name, value in {**_EVERY_FAILURE_ALONE, **self.settings}.items():
            section, _, key = name.partition(".")
            head = next(line for line in text.splitlines() if line.startswith(f"[{section}]"))
            text = text.replace(f"{head}\n", f"{head}\n{key} = {json.dumps(value)}\n", 1)
        path.write_text(text, encoding="utf-8")


_EVERY_FAILURE_ALONE = {"audit.failures_per_second": 100_000}
"""Tests look for the record of each refusal."""
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextlib.contextmanager
def serving(server: BrokerServer) -> Iterator[BrokerServer]:
    """Start, and stop afterwards whatever happens."""
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Refusal(contextlib.AbstractContextManager["Refusal"]):
    """``with refused("AccessDenied") as refusal:`` the call in the block must be refused with this code."""

    def __init__(self, code: str, status: int | None, message: str) -> None:
        self._code, self._status, self._message = code, status, message
        self.message = ""
        self.request_id = ""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None:
            raise AssertionError(f"expected {self._code}, but the call was answered")
        if not isinstance(error, ClientError):
            return False
        found = error.response
        self.message, self.request_id = found["Error"].get("Message", ""), found["ResponseMetadata"]["RequestId"]
        assert found["Error"]["Code"] == self._code, found["Error"]
        assert self._status in (None, found["ResponseMetadata"]["HTTPStatusCode"]), found
        assert self._message in self.message, self.message
        return True


def refused(code: str, *, status: int | None = None, message: str = "") -> Refusal:
    return Refusal(code, status, message)


def request_id(answer: Mapping[str, Any]) -> str:
    return str(answer["ResponseMetadata"]["RequestId"])


def clean_environment() -> dict[str, str]:
    """The environment without settings of ours or of AWS clients."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("ACCREDIT_", "AWS_"))}


def _environment() -> dict[str, str]:
    return clean_environment() | {"PYTHONWARNINGS": "default"}
