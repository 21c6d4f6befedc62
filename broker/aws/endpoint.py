"""The AWS endpoint: a plain WSGI callable in front of the pages, because routing and form parsing of a web framework
would cost more than the whole call.

A call goes: form -> operation -> signature -> arguments -> handler -> audit record -> XML. Exactly one audit record is
made, whatever happens; for a call that issues something it is on disk before the answer leaves.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from broker.audit.event import CallRecord, render
from broker.aws.codec.query import parse_form
from broker.aws.codec.xml import render_error
from broker.aws.errors import (
    InternalFailure,
    InvalidAction,
    MissingAction,
    MissingAuthenticationToken,
    RequestEntityTooLarge,
    UnsupportedOperation,
    wire_error,
)
from broker.aws.operations import Api, Effect, Served, load_apis
from broker.aws.signing_keys import SigningKeyCache
from broker.aws.sigv4 import SignedRequest, parse_signature, verify_signature
from broker.callers import check_alive, find_candidate
from broker.errors import AuditUnavailable, BrokerError
from broker.identifiers import new_uuid
from broker.proxies import TrustedProxies
from broker.restrictions import check_may_call
from broker.services import Caller, Candidate, Services
from broker.wsgi import Environ, StartResponse, WsgiApplication
from providers.errors import ProviderError

_DEFAULT_VERSION = "2011-06-15"
_XML = "text/xml"
_SIGNING_KEYS = 4_096

_log = logging.getLogger(__name__)


class AwsEndpoint:
    """Answers AWS calls and hands everything else to ``pages``."""

    def __init__(self, services: Services, pages: WsgiApplication) -> None:
        settings = services.settings
        self._services = services
        self._pages = pages
        self._apis: Mapping[str, Api] = load_apis()
        prefix = settings.server.path_prefix
        self._paths = frozenset({"/", prefix, f"{prefix}/"} if prefix else {"/"})
        self._proxies = TrustedProxies(settings.server.trusted_proxies)
        self._max_body = settings.server.max_body_bytes
        self._window = settings.sts.clock_window_seconds
        self._signing_keys = SigningKeyCache(_SIGNING_KEYS)
        self._log_requests = settings.log.requests

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] not in self._paths or not _is_call(environ):
            return self._pages(environ, start_response)
        status, record, body = self._answer(environ)
        if self._log_requests:
            _log_request(record, status)
        start_response(
            f"{status} {HTTPStatus(status).phrase}",
            [
                ("Content-Type", _XML),
                ("Content-Length", str(len(body))),
                ("x-amzn-RequestId", record.request_id),
                ("Cache-Control", "no-store"),
            ],
        )
        return [body]

    def _answer(self, environ: Environ) -> tuple[int, CallRecord, bytes]:
        now = datetime.now(UTC)
        record = CallRecord(new_uuid(), now)
        record.source_ip, secure = self._proxies.client(environ)
        record.user_agent = environ.get("HTTP_USER_AGENT", "")
        served: Served | None = None
        try:
            parameters, body = self._read(environ)
            served = self._operation(parameters, record)
            caller = self._caller(environ, body, served, record, secure=secure)
            arguments = served.arguments(parameters)
            record.parameters = arguments
            result = served.handler(self._services, caller, **arguments)
            answer = served.render(result, record.request_id)
            self._record_success(served, record, result)
            return 200, record, answer
        except (BrokerError, ProviderError) as error:
            return self._refuse(error, served, record)
        except Exception as error:  # noqa: BLE001  # the outer edge: the caller gets AWS's answer and no trace
            _log.exception("unexpected error", extra={"request_id": record.request_id, "action": record.event_name})
            failure = InternalFailure(
                "The request processing has failed because of an unknown error.", detail=repr(error)
            )
            return self._refuse(failure, served, record)

    def _read(self, environ: Environ) -> tuple[Mapping[str, str], bytes]:
        """The parameters and the raw body. A body over the limit is refused unread."""
        length = environ.get("CONTENT_LENGTH") or ""
        if length.isascii() and length.isdecimal():
            if int(length) > self._max_body:
                raise RequestEntityTooLarge(f"The request body exceeds {self._max_body} bytes.")
            body = environ["wsgi.input"].read(int(length)) if int(length) else b""
        elif "HTTP_TRANSFER_ENCODING" in environ:
            body = environ["wsgi.input"].read(self._max_body + 1)
            if len(body) > self._max_body:
                raise RequestEntityTooLarge(f"The request body exceeds {self._max_body} bytes.")
        else:
            body = b""
        return parse_form(environ["QUERY_STRING"], body, environ.get("CONTENT_TYPE", "")), body

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

    def _caller(self, environ: Environ, body: bytes, served: Served, record: CallRecord, *, secure: bool) -> Caller:
        if not served.authenticated:
            return Caller(record.time, record, secure)
        return Caller(record.time, record, secure, self._verify(environ, body, served, record))

    def _verify(self, environ: Environ, body: bytes, served: Served, record: CallRecord) -> Candidate:
        request = SignedRequest(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            environ["QUERY_STRING"],
            environ,
            body,
        )
        signature = parse_signature(request)
        if signature is None:
            raise MissingAuthenticationToken("Request is missing Authentication Token")
        if served.effect is not Effect.READ and signature.expires is not None:
            # a presigned URL that issues credentials would mint new ones for as long as it lives
            signature = replace(signature, expires=min(signature.expires, self._window))
        record.access_key_id, record.region = signature.access_key_id, signature.region
        candidate = find_candidate(self._services, signature.access_key_id, signature.session_token)
        verify_signature(
            request,
            signature,
            candidate.secret,
            service=served.service,
            now=record.time,
            window_seconds=self._window,
            signing_keys=self._signing_keys,
        )
        record.identify(candidate.principal, session=candidate.session)
        check_alive(self._services, candidate, signature.access_key_id, record.time)
        check_may_call(candidate, served.service, served.name)
        return candidate

    def _record_success(self, served: Served, record: CallRecord, result: object) -> None:
        if served.effect is Effect.ISSUE:
            record.response = result
            self._services.audit.record(render(record))
        elif served.effect is Effect.READ:
            self._services.audit.record_soon(render(record))

    def _refuse(
        self, error: BrokerError | ProviderError, served: Served | None, record: CallRecord
    ) -> tuple[int, CallRecord, bytes]:
        wire = wire_error(error)
        record.error_code, record.error_message, record.reason = wire.code, wire.message, error.detail
        record.response = None  # whatever was made, it is not handed out
        try:
            self._services.audit.record_soon(render(record))
        except AuditUnavailable as unavailable:
            wire = wire_error(unavailable)
        namespace = served.namespace if served else self._apis[_DEFAULT_VERSION].namespace
        body = render_error(wire.code, wire.text(), wire.sender, record.request_id, namespace)
        return wire.status, record, body


def _log_request(record: CallRecord, status: int) -> None:
    _log.info(
        "request",
        extra={
            "request_id": record.request_id,
            "action": record.event_name,
            "status": status,
            "error": record.error_code or "",
            "source_ip": record.source_ip,
        },
    )


def _is_call(environ: Environ) -> bool:
    """A POST, or a GET that names an action or is signed; any other GET is a person's."""
    if environ["REQUEST_METHOD"] == "POST":
        return True
    query: str = environ["QUERY_STRING"]
    signed: Any = environ.get("HTTP_AUTHORIZATION", "")
    return environ["REQUEST_METHOD"] == "GET" and ("Action=" in query or "X-Amz-" in query or signed.startswith("AWS4"))
