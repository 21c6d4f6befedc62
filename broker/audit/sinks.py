"""Where events go besides the store. A sink takes records in their order, and raises if they did not arrive.

RFC 5424 and 5425 (syslog), OpenTelemetry Protocol 1.x (OTLP/HTTP with JSON).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from broker.audit.index import event_seconds
from providers.fetch import Fetcher, Trust

_AUDIT_FACILITY = 13
_INFORMATIONAL, _WARNING = 6, 4
_SYSLOG_ID = re.compile(r"[^\x21-\x7e]")
_OTLP_INFO, _OTLP_WARN = 9, 13


class Sink(Protocol):
    """One output."""

    def send(self, first: int, records: Sequence[str]) -> None:
        """Deliver records, the first of which is leaf ``first``. Raises OSError or ProviderError: then none counts,
        and the same come again."""


@dataclass(frozen=True, slots=True)
class FileSink:
    """A file, a record a line, on disk when ``send`` returns. It is put aside when it is full."""

    path: Path
    rotate_bytes: int
    keep: int

    def send(self, first: int, records: Sequence[str]) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _write(file, "".join(f"{record}\n" for record in records).encode())
            os.fsync(file)
            size = os.fstat(file).st_size
        finally:
            os.close(file)
        if size >= self.rotate_bytes:
            self._rotate()

    def _rotate(self) -> None:
        """``events.ndjson`` becomes ``events.ndjson.1``, which was ``.2`` before the next time."""
        for number in range(self.keep, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            if newer.exists():
                newer.replace(older)
        if self.keep < 1:
            self.path.unlink()


@dataclass(frozen=True, slots=True)
class StdoutSink:
    """The process's standard output."""

    def send(self, first: int, records: Sequence[str]) -> None:
        _write(sys.stdout.fileno(), "".join(f"{record}\n" for record in records).encode())


@dataclass(frozen=True, slots=True)
class SyslogSink:
    """A collector of RFC 5424 messages, by TLS, with octet counts (RFC 5425, section 4.3)."""

    fetcher: Fetcher
    host: str
    port: int
    trust: Trust

    def send(self, first: int, records: Sequence[str]) -> None:
        messages = [syslog_message(record) for record in records]
        payload = b"".join(b"%d %s" % (len(message), message) for message in messages)
        self.fetcher.transmit(self.host, self.port, payload, self.trust)


@dataclass(frozen=True, slots=True)
class WebhookSink:
    """A server that takes batches as JSON and checks their signature.

    ``Accredit-Signature: t=SECONDS,v1=HEX``, HMAC-SHA256 over ``SECONDS.BODY``. ``Accredit-Delivery`` is the same when
    a batch comes again.
    """

    fetcher: Fetcher
    name: str
    url: str
    secret: bytes = field(repr=False)
    trust: Trust

    def send(self, first: int, records: Sequence[str]) -> None:
        body = f'{{"first":{first},"events":[{",".join(records)}]}}'.encode()
        headers = {
            "Content-Type": "application/json",
            "Accredit-Delivery": f"{self.name}-{first}-{len(records)}",
            "Accredit-Signature": sign_delivery(self.secret, body, int(time.time())),
        }
        self.fetcher.post(self.url, body, headers, self.trust)


@dataclass(frozen=True, slots=True)
class OtlpSink:
    """An OpenTelemetry collector."""

    fetcher: Fetcher
    url: str
    headers: Mapping[str, str] = field(repr=False)
    trust: Trust

    def send(self, first: int, records: Sequence[str]) -> None:
        body = json.dumps(otlp_logs(records)).encode()
        self.fetcher.post(self.url, body, {"Content-Type": "application/json", **self.headers}, self.trust)


def sign_delivery(secret: bytes, body: bytes, moment: int) -> str:
    """The value of ``Accredit-Signature``."""
    digest = hmac.new(secret, b"%d." % moment + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def syslog_message(record: str) -> bytes:
    """RFC 5424: facility "log audit", the event's name as MSGID, the event as JSON in the message."""
    event: dict[str, Any] = json.loads(record)
    severity = _WARNING if event.get("errorCode") else _INFORMATIONAL
    moment = datetime.fromtimestamp(event_seconds(event), UTC).isoformat()[:19] + "Z"
    name = _SYSLOG_ID.sub("_", str(event.get("eventName") or "-"))[:32]
    host = _SYSLOG_ID.sub("_", socket.gethostname())[:255] or "-"
    head = f"<{_AUDIT_FACILITY * 8 + severity}>1 {moment} {host} accredit {os.getpid()} {name} - "
    return head.encode() + b"\xef\xbb\xbf" + record.encode()


def otlp_logs(records: Sequence[str]) -> dict[str, Any]:
    """An ExportLogsServiceRequest."""
    resource = {"attributes": [_attribute("service.name", "accredit"), _attribute("host.name", socket.gethostname())]}
    scope = {"scope": {"name": "accredit.audit"}, "logRecords": [_log_record(record) for record in records]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}


def _log_record(record: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(record)
    failed = bool(event.get("errorCode"))
    named = {
        "event.name": event.get("eventName"),
        "cloudtrail.event_id": event.get("eventID"),
        "cloudtrail.event_source": event.get("eventSource"),
        "cloudtrail.error_code": event.get("errorCode"),
        "cloud.account.id": event.get("recipientAccountId"),
        "client.address": event.get("sourceIPAddress"),
        "user_agent.original": event.get("userAgent"),
    }
    return {
        "timeUnixNano": str(event_seconds(event) * 1_000_000_000),
        "severityNumber": _OTLP_WARN if failed else _OTLP_INFO,
        "severityText": "WARN" if failed else "INFO",
        "body": {"stringValue": record},
        "attributes": [_attribute(key, str(value)) for key, value in named.items() if value],
    }


def _attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def _write(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]
