"""The AWS endpoint: a plain WSGI callable in front of the pages, because routing and form parsing of a web framework
would cost more than the whole call.

A call goes: operation -> signature -> arguments -> handler -> audit record -> answer, read and written in the protocol
of its path. Exactly one audit record is made, whatever happens; for a call that issues something it is on disk before
the answer leaves.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from msgspec import structs

from broker.audit.event import CallRecord, render
from broker.aws.errors import InternalFailure, MissingAuthenticationToken
from broker.aws.operations import Effect, Served
from broker.aws.protocols import WireProtocol, load_protocols
from broker.aws.signing_keys import SigningKeyCache
from broker.aws.sigv4 import SignedRequest, parse_signature, verify_signature
from broker.callers import check_alive, find_candidate
from broker.errors import AuditUnavailable, BrokerError
from broker.identifiers import new_uuid
from broker.proxies import TrustedProxies
from broker.restrictions import check_may_call
from broker.services import Caller, Candidate, Services
from broker.wsgi import ANSWER_LATER, Environ, Send, StartResponse, WsgiApplication
from providers.errors import ProviderError

_SIGNING_KEYS = 4_096
_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class _Answer(msgspec.Struct):
    """What a call is answered."""

    protocol: WireProtocol
    record: CallRecord
    served: Served | None
    status: int
    body: bytes
    headers: list[tuple[str, str]]
    """Beside those of every answer."""
    pending: str | None = None
    """The record that must be on disk before this leaves."""


_log = logging.getLogger(__name__)


class AwsEndpoint:
    """Answers AWS calls and hands everything else to ``pages``."""

    def __init__(self, services: Services, pages: WsgiApplication) -> None:
        settings = services.settings
        self._services = services
        self._pages = pages
        self._protocols = load_protocols(settings.server.path_prefix)
        self._proxies = TrustedProxies(settings.server.trusted_proxies)
        self._max_body = settings.server.max_body_bytes
        self._window = settings.sts.clock_window_seconds
        self._signing_keys = SigningKeyCache(_SIGNING_KEYS)
        self._log_requests = settings.log.requests

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        protocol = self._protocols.find(environ)
        if protocol is None:
            return self._pages(environ, start_response)
        answer = self._answer(protocol, environ)
        if answer.pending is not None:
            if ANSWER_LATER in environ:
                send = environ[ANSWER_LATER]()
                self._services.audit.issued_then(
                    answer.record, answer.pending, lambda error: self._send(send, answer, error)
                )
                return []
            answer = self._settled(answer, self._services.audit.issued(answer.record, answer.pending))
        start_response(_STATUS_LINES[answer.status], self._finish(answer))
        return [answer.body]

    def _answer(self, protocol: WireProtocol, environ: Environ) -> _Answer:
        now = datetime.now(UTC)
        record = CallRecord(new_uuid(), now)
        record.source_ip, secure = self._proxies.client(environ)
        record.user_agent = environ.get("HTTP_USER_AGENT", "")
        served: Served | None = None
        try:
            served, parameters, body = protocol.read(environ, self._max_body, record)
            record.read_only = served.effect is not Effect.CHANGE
            caller = self._caller(environ, body, served, record, secure=secure)
            arguments = served.arguments(parameters)
            record.parameters = arguments
            result = served.handler(self._services, caller, **arguments)
            text = served.render(result, record.request_id)
            pending = self._record_success(served, record, result)
            return _Answer(protocol, record, served, 200, text, [], pending)
        except (BrokerError, ProviderError) as error:
            return self._refuse(protocol, error, served, record)
        except Exception as error:  # noqa: BLE001  # the outer edge: the caller gets AWS's answer and no trace
            _log.exception("unexpected error", extra={"request_id": record.request_id, "action": record.event_name})
            failure = InternalFailure(
                "The request processing has failed because of an unknown error.", detail=repr(error)
            )
            return self._refuse(protocol, failure, served, record)

    def _settled(self, answer: _Answer, error: BrokerError | None) -> _Answer:
        """The answer, or the refusal of one whose record is not on disk, or whose assertion was used before."""
        if error is None:
            return answer
        return self._refuse(answer.protocol, error, answer.served, answer.record)

    def _send(self, send: Send, answer: _Answer, error: BrokerError | None) -> None:
        answer = self._settled(answer, error)
        send(answer.status, self._finish(answer), answer.body)

    def _finish(self, answer: _Answer) -> list[tuple[str, str]]:
        """Log the request; returns the answer's headers."""
        if self._log_requests:
            _log_request(answer.record, answer.status)
        return [
            ("Content-Type", answer.protocol.content_type),
            ("Content-Length", str(len(answer.body))),
            ("x-amzn-RequestId", answer.record.request_id),
            ("Cache-Control", "no-store"),
            *answer.headers,
        ]

    def _caller(self, environ: Environ, body: bytes, served: Served, record: CallRecord, *, secure: bool) -> Caller:
        if not served.authenticated:
            return Caller(record.time, record, secure, in_url=bool(environ["QUERY_STRING"]))
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
            signature = structs.replace(signature, expires=min(signature.expires, self._window))
        record.access_key_id, record.region = signature.access_key_id, signature.region
        candidate = find_candidate(self._services, signature.access_key_id, signature.session_token)
        verify_signature(
            request,
            signature,
            candidate.secret.reveal(),
            service=served.service,
            now=record.time,
            window_seconds=self._window,
            signing_keys=self._signing_keys,
        )
        record.identify(candidate.principal, session=candidate.session)
        check_alive(self._services, candidate, signature.access_key_id, record.time)
        self._services.usage.note(candidate.owner_id, served.service, record)
        check_may_call(candidate, served.service, served.name)
        return candidate

    def _record_success(self, served: Served, record: CallRecord, result: object) -> str | None:
        """The record that must be on disk before the answer leaves, unless that is so, or the call only reads."""
        if served.effect is Effect.ISSUE:
            record.response = result
            return render(record)
        if served.effect is Effect.READ:
            self._services.audit.record_soon(render(record))
        elif not record.written:
            raise RuntimeError(f"{served.name} left no record of what it changed")
        return None

    def _refuse(
        self, protocol: WireProtocol, error: BrokerError | ProviderError, served: Served | None, record: CallRecord
    ) -> _Answer:
        wire = protocol.wire_error(error)
        record.error_code, record.error_message, record.reason = wire.code, wire.message, error.detail
        record.response = None  # whatever was made, it is not handed out
        try:
            if record.principal is None:
                self._services.audit.record_failure(record)
            else:
                self._services.audit.record_soon(render(record))
        except AuditUnavailable as unavailable:
            wire = protocol.wire_error(unavailable)
        body = protocol.render_error(wire, served, record.request_id)
        return _Answer(protocol, record, served, wire.status, body, protocol.error_headers(wire))


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
