"""The protocols that AWS's clients speak to us: which operation a request asks for, and the form of the answer.

``load_protocols`` is the one place that chooses: a path has one protocol, but for that of the query protocol, where a
header asks for JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from broker.audit.event import CallRecord
from broker.aws.codec import json, restjson, xml
from broker.aws.codec.query import parse_form
from broker.aws.errors import (
    InvalidAction,
    MissingAction,
    RequestEntityTooLarge,
    UnsupportedOperation,
    WireError,
    json_error,
    wire_error,
)
from broker.aws.operations import Api, Served, load_apis
from broker.errors import BrokerError
from broker.wsgi import Environ
from providers.errors import ProviderError

_DEFAULT_VERSION = "2011-06-15"
Asked = tuple[Served, Any, bytes]
"""The operation, what ``Served.arguments`` makes the arguments of, and the raw body."""


class Choice(Protocol):
    """What is spoken at a path."""

    def chosen(self, environ: Environ) -> WireProtocol | None:
        """Which protocol the call is of; None if it is no call but a person's request."""


class WireProtocol(Protocol):
    """What the endpoint needs to know of a protocol."""

    content_type: str

    def read(self, environ: Environ, max_body: int, record: CallRecord) -> Asked:
        """What is asked for; the record learns its name. Raises BrokerError."""

    def wire_error(self, error: BrokerError | ProviderError) -> WireError:
        """The protocol's code and status of a refusal."""

    def render_error(self, error: WireError, served: Served | None, request_id: str) -> bytes:
        """The body that tells a refusal."""

    def error_headers(self, error: WireError) -> list[tuple[str, str]]:
        """The headers that tell it."""


def load_protocols(path_prefix: str) -> Protocols:
    """Path -> the protocol that is spoken there, also below ``path_prefix``."""
    apis = load_apis()
    targets = Json({api.target_prefix: api for api in apis if api.protocol == "json"})
    query = Query({api.version: api for api in apis if api.protocol == "query"}, targets)
    found: dict[str, Choice] = {"/": query, path_prefix or "/": query, f"{path_prefix}/": query}
    paths: dict[str, dict[str, RestJson]] = {}
    for api in apis:
        for served in api.served.values() if api.protocol == "rest-json" else ():
            paths.setdefault(_LABEL.sub("{}", served.path), {})[served.method] = RestJson(served)
    for path, methods in paths.items():
        found[path] = found[path_prefix + path] = RestPath(methods)
    return Protocols(found)


_LABEL = re.compile(r"\{[A-Za-z]+\}$")


class Protocols:
    """Finds the protocol of a request by its path."""

    def __init__(self, paths: Mapping[str, Choice]) -> None:
        self._paths = paths

    def find(self, environ: Environ) -> WireProtocol | None:
        """None if the request is no call. The last segment of a path may be a member: it stands for itself then."""
        path: str = environ["PATH_INFO"]
        spoken = self._paths.get(path)
        if spoken is None:
            spoken = self._paths.get(f"{path.rpartition('/')[0]}/{{}}")
        return None if spoken is None else spoken.chosen(environ)


class RestPath:
    """The operations of one path, by their methods: only chooses among them."""

    def __init__(self, methods: Mapping[str, RestJson]) -> None:
        self._methods = methods

    def chosen(self, environ: Environ) -> WireProtocol | None:
        return self._methods.get(environ["REQUEST_METHOD"])


class Query:
    """The query protocol: a form whose ``Action`` and ``Version`` name the operation, answered in XML."""

    content_type = "text/xml"

    def __init__(self, apis: Mapping[str, Api], targets: Json) -> None:
        self._apis = apis
        self._targets = targets

    def chosen(self, environ: Environ) -> WireProtocol | None:
        """A POST is a call, in JSON if it says so; a GET, if it names an action or is signed."""
        if environ["REQUEST_METHOD"] == "POST":
            return self._targets if "HTTP_X_AMZ_TARGET" in environ else self
        query: str = environ["QUERY_STRING"]
        signed: Any = environ.get("HTTP_AUTHORIZATION", "")
        is_call = "Action=" in query or "X-Amz-" in query or signed.startswith("AWS4")
        return self if is_call and environ["REQUEST_METHOD"] == "GET" else None

    def read(self, environ: Environ, max_body: int, record: CallRecord) -> Asked:
        body = read_body(environ, max_body)
        parameters = parse_form(environ["QUERY_STRING"], body, environ.get("CONTENT_TYPE", ""))
        return self._operation(parameters, record), parameters, body

    def _operation(self, parameters: Mapping[str, str], record: CallRecord) -> Served:
        action = parameters.get("Action")
        if not action:
            raise MissingAction("The request must contain the parameter Action.")
        record.event_name = action
        version = parameters.get("Version", _DEFAULT_VERSION)
        api = self._apis.get(version)
        if api is None or action not in api.known:
            raise InvalidAction(f"Could not find operation {action[:128]} for version {version[:32]}")
        served = api.served.get(action)
        if served is None:
            raise UnsupportedOperation(f"The operation {action} is not supported by this endpoint.")
        record.event_source = served.event_source
        return served

    def wire_error(self, error: BrokerError | ProviderError) -> WireError:
        return wire_error(error)

    def render_error(self, error: WireError, served: Served | None, request_id: str) -> bytes:
        namespace = served.namespace if served else self._apis[_DEFAULT_VERSION].namespace
        return xml.render_error(error.code, error.text(), error.sender, request_id, namespace)

    def error_headers(self, error: WireError) -> list[tuple[str, str]]:
        return []


class Json:
    """The JSON 1.1 protocol: the header ``X-Amz-Target`` names service, version and operation."""

    content_type = json.CONTENT_TYPE

    def __init__(self, apis: Mapping[str, Api]) -> None:
        self._apis = apis

    def chosen(self, environ: Environ) -> WireProtocol | None:
        return self

    def read(self, environ: Environ, max_body: int, record: CallRecord) -> Asked:
        prefix, _, action = environ["HTTP_X_AMZ_TARGET"].rpartition(".")
        record.event_name = action
        body = read_body(environ, max_body)
        api = self._apis.get(prefix)
        if api is None or action not in api.known:
            raise InvalidAction(f"Could not find operation {action[:128]}")
        served = api.served.get(action)
        if served is None:
            raise UnsupportedOperation(f"The operation {action} is not supported by this endpoint.")
        record.event_source = served.event_source
        return served, restjson.RestRequest("", environ.get("CONTENT_TYPE", ""), body), body

    def wire_error(self, error: BrokerError | ProviderError) -> WireError:
        return json_error(error)

    def render_error(self, error: WireError, served: Served | None, request_id: str) -> bytes:
        return json.render_error(error)

    def error_headers(self, error: WireError) -> list[tuple[str, str]]:
        return [("x-amzn-ErrorType", error.code)]


class RestJson:
    """The rest-json protocol, of the one operation that a path stands for."""

    content_type = restjson.CONTENT_TYPE

    def __init__(self, served: Served) -> None:
        self._served = served

    def read(self, environ: Environ, max_body: int, record: CallRecord) -> Asked:
        record.event_name, record.event_source = self._served.name, self._served.event_source
        body = read_body(environ, max_body)
        label = environ["PATH_INFO"].rpartition("/")[2]
        request = restjson.RestRequest(environ["QUERY_STRING"], environ.get("CONTENT_TYPE", ""), body, label)
        return self._served, request, body

    def wire_error(self, error: BrokerError | ProviderError) -> WireError:
        return json_error(error)

    def render_error(self, error: WireError, served: Served | None, request_id: str) -> bytes:
        return restjson.render_error(error)

    def error_headers(self, error: WireError) -> list[tuple[str, str]]:
        return [("x-amzn-ErrorType", error.code)]


def read_body(environ: Environ, limit: int) -> bytes:
    """The raw body. One of more than ``limit`` bytes is refused unread: raises RequestEntityTooLarge."""
    length = environ.get("CONTENT_LENGTH") or ""
    body: bytes = b""
    if length.isascii() and length.isdecimal():
        if int(length) > limit:
            raise RequestEntityTooLarge(f"The request body exceeds {limit} bytes.")
        body = environ["wsgi.input"].read(int(length)) if int(length) else b""
    elif "HTTP_TRANSFER_ENCODING" in environ:
        body = environ["wsgi.input"].read(limit + 1)
        if len(body) > limit:
            raise RequestEntityTooLarge(f"The request body exceeds {limit} bytes.")
    return body
