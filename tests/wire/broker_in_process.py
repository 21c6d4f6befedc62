"""A broker without a socket: its endpoint is called as a WSGI application, thousands of times a minute."""

from __future__ import annotations

import io
import json
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from broker.app import build_services, prepare
from broker.aws.endpoint import AwsEndpoint
from broker.configure import check_configuration
from broker.initialize import initialize
from broker.wsgi import ANSWER_LATER

ACCOUNT = "123456789012"
HOST = "broker.example"
_SECRET = "s" * 40
_OBJECTS = """
[[role]]
name = "assumed"
trust_policy = '''
{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:*"}}
'''
[[policy]]
name = "limit"
document = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}'
[[user]]
name = "administrator"
[[user.inline_policy]]
name = "all"
document = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
[[user.access_key]]
secret_file = "administrator.secret"
"""
ATTEMPTS = frozenset({"audit_events", "audit_journals", "password_attempts", "usages"})
"""Tables that record attempts, refused ones too."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The error code: in the body with the query protocol, in a header with rest-json."""
        named = re.search(rb"<Code>([^<]+)</Code>", self.body)
        return named[1].decode() if named else self.headers.get("x-amzn-ErrorType", "")


class BrokerInProcess:
    """``ask`` signs as a user who may do everything."""

    def __init__(self, directory: Path) -> None:
        initialize(directory, ACCOUNT)
        secret = directory / "administrator.secret"
        secret.touch(mode=0o600)
        secret.write_text(_SECRET)
        with (directory / "accredit.toml").open("a", encoding="utf-8") as file:
            file.write(_OBJECTS)
        prepared = prepare(directory)
        (key,) = check_configuration(prepared.settings, prepared.master_key).keys
        self._credentials = Credentials(key.access_key_id, _SECRET)
        self._services = build_services(prepared)
        self._endpoint = AwsEndpoint(self._services, _no_page)
        self._reader = sqlite3.connect(f"file:{directory / 'accredit.db'}?mode=ro", uri=True, check_same_thread=False)
        names = self._reader.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        self._tables = [name for (name,) in names if name not in ATTEMPTS]

    def close(self) -> None:
        self._reader.close()
        self._services.usage.close()
        self._services.audit.close()
        self._services.database.close()

    def ask(
        self,
        service: str,
        body: bytes,
        *,
        path: str = "/",
        content_type: str = "",
        signed: bool = True,
        target: str = "",
        method: str = "POST",
    ) -> Answer:
        """One request; ``target`` names the operation in the JSON protocol."""
        environ = self._environ(service, body, path, content_type, target, signed=signed, method=method)
        told: list[tuple[str, dict[str, str]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], error: object = None) -> Any:
            told.append((status, dict(headers)))

        answer = b"".join(self._endpoint(environ, start_response))
        ((status, headers),) = told
        return Answer(int(status[:3]), headers, answer)

    def ask_later(self, service: str, body: bytes, content_type: str) -> Answer:
        """One POST, under a server that takes answers later."""
        environ = self._environ(service, body, "/", content_type, "", signed=True)
        answers: SimpleQueue[Answer] = SimpleQueue()

        def send(status: int, headers: list[tuple[str, str]], answer: bytes) -> None:
            answers.put(Answer(status, dict(headers), answer))

        environ[ANSWER_LATER] = lambda: send
        assert list(self._endpoint(environ, _no_page)) == []
        return answers.get(timeout=5)

    def _environ(
        self,
        service: str,
        body: bytes,
        path: str,
        content_type: str,
        target: str,
        *,
        signed: bool,
        method: str = "POST",
    ) -> dict[str, Any]:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": "192.0.2.1",
            "HTTP_HOST": HOST,
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(body),
        }
        if target:
            environ["HTTP_X_AMZ_TARGET"] = target
        if signed:
            request = AWSRequest(method, f"https://{HOST}{path}", data=body, headers={"Content-Type": content_type})
            SigV4Auth(self._credentials, service, "eu-central-1").add_auth(request)
            environ["HTTP_AUTHORIZATION"] = request.headers["Authorization"]
            environ["HTTP_X_AMZ_DATE"] = request.headers["X-Amz-Date"]
        return environ

    def events(self) -> list[dict[str, Any]]:
        """All audit events, once those of the calls so far are on disk."""
        self._services.audit.flush()
        with closing(self._reader.cursor()) as cursor:
            texts = cursor.execute("SELECT record FROM audit_events ORDER BY sequence").fetchall()
        return [json.loads(text) for (text,) in texts]

    def state(self) -> list[list[tuple[Any, ...]]]:
        """All that is stored, the record of attempts aside."""
        with closing(self._reader.cursor()) as cursor:
            return [cursor.execute(f'SELECT * FROM "{table}"').fetchall() for table in self._tables]


def _no_page(environ: object, start_response: Any) -> Any:
    raise AssertionError("this is no call")
