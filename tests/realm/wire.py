"""HTTP as bytes, for requests that no AWS client would send."""

from __future__ import annotations

import http.client
import re
import socket
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from realm.server import REGION, BrokerServer, Keys

VERSION = "2011-06-15"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """A parsed response. ``status`` 0: the connection was closed without one."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def code(self) -> str:
        """The error code."""
        return self.element("Code")

    @property
    def message(self) -> str:
        return self.element("Message")

    @property
    def request_id(self) -> str:
        return self.headers.get("x-amzn-requestid", "")

    def element(self, name: str) -> str:
        """The text of the first XML element of this name."""
        found = re.search(rf"<{name}>(.*?)</{name}>", self.body.decode(), re.DOTALL)
        return found[1] if found else ""


def form(action: str, **parameters: str) -> bytes:
    """The body of a query-protocol call."""
    return urllib.parse.urlencode({"Action": action, "Version": VERSION, **parameters}).encode()


def signed_headers(
    broker: BrokerServer,
    keys: Keys,
    body: bytes,
    *,
    method: str = "POST",
    path: str = "/",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The headers of a request that botocore has signed."""
    request = AWSRequest(
        method, broker.url + path, data=body, params=query, headers={"Content-Type": FORM, **(headers or {})}
    )
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
    SigV4Auth(credentials, "sts", REGION).add_auth(request)
    return {"Host": broker.host, **dict(request.headers.items())}


def post(broker: BrokerServer, body: bytes, headers: Mapping[str, str] | None = None, path: str = "/") -> Answer:
    """POST as given; nothing is signed here."""
    return ask(broker, "POST", path, body, {"Content-Type": FORM} if headers is None else headers)


def call(broker: BrokerServer, keys: Keys, action: str = "GetCallerIdentity", **parameters: str) -> Answer:
    """A signed POST."""
    body = form(action, **parameters)
    return post(broker, body, signed_headers(broker, keys, body))


def ask(
    broker: BrokerServer, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(broker.host, timeout=_SECONDS)
    try:
        connection.request(method, path, body or None, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def send(broker: BrokerServer, *parts: bytes, finished: bool = False) -> Answer:
    """Raw bytes, and the answer to them; with ``finished`` the server sees that no more will come."""
    with socket.create_connection(("127.0.0.1", broker.port), timeout=_SECONDS) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            if finished:
                connection.shutdown(socket.SHUT_WR)
            return receive(connection)
        except (BrokenPipeError, ConnectionResetError):
            return Answer(0)


def receive(connection: socket.socket) -> Answer:
    """Read one response."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())
    except (http.client.HTTPException, ConnectionResetError):
        return Answer(0)
    finally:
        response.close()


def head(method: str, path: str, headers: Sequence[tuple[str, str]] | Mapping[str, str]) -> bytes:
    """The head of a request."""
    items: Any = headers.items() if isinstance(headers, Mapping) else headers
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in items)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
