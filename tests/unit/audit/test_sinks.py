"""Outputs: what arrives, in which form, and that nothing is lost when a collector is away."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import hmac
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import trustme
from sealed import SealedStore, event, texts
from sqlalchemy import delete

from broker.audit.export import COLUMNS, csv_line, csv_values
from broker.audit.relay import Relay
from broker.audit.sinks import (
    FileSink,
    OtlpSink,
    StdoutSink,
    SyslogSink,
    WebhookSink,
    otlp_logs,
    sign_delivery,
    syslog_message,
)
from broker.store.engine import Database
from broker.store.tables import leases
from providers.errors import ProviderUnreachable
from providers.fetch import Fetcher, Trust

SECRET = b"0123456789abcdef"
CA = trustme.CA()
PEM = CA.cert_pem.bytes().decode()
HOSTILE = "\n<13>1 forged\r\n\x1b[2J\u202eevil\u2028\x00"


def fetcher(**options) -> Fetcher:
    return Fetcher(allow_networks=["127.0.0.0/8"], timeout_seconds=2, **options)


def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("localhost").configure_cert(context)
    return context


class Collector:
    """A syslog server by TLS that keeps what it is sent."""

    def __init__(self) -> None:
        self.received = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with contextlib.suppress(ssl.SSLError), connection, tls().wrap_socket(connection, server_side=True) as wrapped:
            while piece := wrapped.recv(65_536):
                self.received += piece
            wrapped.unwrap()

    def close(self) -> None:
        self._thread.join(5)
        self._listener.close()


class Server:
    """Takes POST requests by TLS: ``/ok`` and ``/accepted``; of others it wants nothing."""

    STATUS: ClassVar = {"/ok": 200, "/accepted": 202}

    def __init__(self) -> None:
        self.requests: list[tuple[str, Message, bytes]] = []
        taken = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                taken.append((self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(Server.STATUS.get(self.path, 500))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = tls().wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def url(self, path: str) -> str:
        return f"https://localhost:{self._server.server_port}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def test_files_have_a_line_each_and_rotate(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "events.ndjson", rotate_bytes=2_000, keep=2)
    for number in range(20):
        sink.send(number, texts([event(number)]))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["events.ndjson", "events.ndjson.1", "events.ndjson.2"]
    kept = [json.loads(line)["eventID"] for name in reversed(names) for line in (tmp_path / name).read_text().split()]
    assert kept == [event(number)["eventID"] for number in range(20 - len(kept), 20)]
    assert (tmp_path / "events.ndjson").stat().st_mode & 0o077 == 0


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        FileSink(tmp_path / "absent" / "x", 1, 1).send(0, ["{}"])


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    StdoutSink().send(0, texts([event(1), event(2)]))
    assert [json.loads(line)["eventID"][-1] for line in capfd.readouterr().out.splitlines()] == ["1", "2"]


def test_syslog_messages_are_of_rfc_5424() -> None:
    (record,) = texts([event(1, eventName="Assume Role\n" + HOSTILE, errorCode="AccessDenied")])
    message = syslog_message(record)
    head, bom, body = message.partition(b"\xef\xbb\xbf")
    assert bom
    assert re.fullmatch(rb"<108>1 2026-01-02T03:04:06Z [\x21-\x7e]+ accredit \d+ [\x21-\x7e]{1,32} - ", head)
    assert json.loads(body)["errorCode"] == "AccessDenied"
    assert not re.search(rb"[\x00-\x1f]", message)
    assert syslog_message(texts([event(2)])[0]).startswith(b"<110>1 ")


def test_syslog_by_tls() -> None:
    collector = Collector()
    records = texts([event(1), event(2, userAgent=HOSTILE)])
    SyslogSink(fetcher(), "localhost", collector.port, Trust(PEM)).send(0, records)
    collector.close()
    rest, found = collector.received, []
    while rest:
        count, _, rest = rest.partition(b" ")
        message, rest = rest[: int(count)], rest[int(count) :]
        found.append(json.loads(message.partition(b"\xef\xbb\xbf")[2])["eventID"])
    assert found == [event(1)["eventID"], event(2)["eventID"]]


def test_a_collector_that_nobody_vouches_for_gets_nothing() -> None:
    collector = Collector()
    with pytest.raises(ProviderUnreachable):
        SyslogSink(fetcher(), "localhost", collector.port, Trust(trustme.CA().cert_pem.bytes().decode())).send(
            0, ["{}"]
        )
    collector.close()
    assert collector.received == b""


def test_a_webhook_is_signed(server: Server) -> None:
    records = texts([event(1), event(2)])
    WebhookSink(fetcher(), "siem", server.url("/ok"), SECRET, Trust(PEM)).send(7, records)
    ((path, head, body),) = server.requests
    assert json.loads(body) == {"first": 7, "events": [json.loads(record) for record in records]}
    moment, digest = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", head["Accredit-Signature"]).groups()
    assert hmac.new(SECRET, moment.encode() + b"." + body, hashlib.sha256).hexdigest() == digest
    assert sign_delivery(SECRET, body, int(moment)) == f"t={moment},v1={digest}"
    assert (path, head["Accredit-Delivery"]) == ("/ok", "siem-7-2")


@pytest.mark.parametrize("path", ["/500", "/absent"])
def test_a_webhook_that_does_not_take_it_is_told(server: Server, path: str) -> None:
    with pytest.raises(ProviderUnreachable):
        WebhookSink(fetcher(), "siem", server.url(path), SECRET, Trust(PEM)).send(0, ["{}"])


def test_a_webhook_in_a_private_network_is_not_called(server: Server) -> None:
    with pytest.raises(ProviderUnreachable):
        WebhookSink(Fetcher(), "siem", server.url("/ok"), SECRET, Trust(PEM)).send(0, ["{}"])
    assert server.requests == []


def test_opentelemetry_logs(server: Server) -> None:
    records = texts([event(1, errorCode="AccessDenied"), event(2)])
    OtlpSink(fetcher(), server.url("/accepted"), {"X-Key": "k"}, Trust(PEM)).send(0, records)
    ((_, head, body),) = server.requests
    assert head["X-Key"] == "k"
    assert json.loads(body) == otlp_logs(records)
    (scope,) = json.loads(body)["resourceLogs"][0]["scopeLogs"]
    first, second = scope["logRecords"]
    assert (first["severityText"], second["severityText"]) == ("WARN", "INFO")
    assert first["timeUnixNano"] == "1767323046000000000"
    assert json.loads(first["body"]["stringValue"])["eventID"] == event(1)["eventID"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", f"={HOSTILE}"])
def test_no_cell_of_csv_is_a_formula_or_more_than_a_line(text: str) -> None:
    (record,) = texts([event(1, userAgent=text, errorMessage=HOSTILE)])
    line = csv_line(csv_values(1, record))
    (cells,) = csv.reader([line])
    assert not cells[COLUMNS.index("userAgent")].startswith(("=", "+", "-", "@"))
    assert line.isprintable()


class Flaky:
    """A sink that is away for a while."""

    def __init__(self) -> None:
        self.away = False
        self.got: list[tuple[int, str]] = []

    def send(self, first, records) -> None:
        if self.away:
            raise OSError("away")
        self.got += [(first + number, json.loads(record)["eventID"]) for number, record in enumerate(records)]


def test_each_event_arrives_in_order_also_after_an_outage_and_by_another_process(
    database: Database, tmp_path: Path
) -> None:
    sealed = SealedStore.make(database, tmp_path).sealed(300)
    sink = Flaky()
    relay = Relay(database, {"siem": sink})
    relay.deliver()
    assert sink.got == [], "an output begins with what comes after it was configured"
    sealed.sealed(10)
    relay.deliver()
    sink.away = True
    sealed.sealed(500)
    relay.deliver()
    sink.away = False
    relay.deliver()
    assert len(sink.got) == 10, "it is left alone for a while"
    with database.write() as connection:
        connection.execute(delete(leases))
    Relay(database, {"siem": sink}).deliver()
    assert sink.got == [(number, event(number)["eventID"]) for number in range(300, 810)]


def test_two_processes_do_not_deliver_the_same(database: Database, tmp_path: Path) -> None:
    sealed = SealedStore.make(database, tmp_path).sealed(1)
    sink = Flaky()
    first, second = Relay(database, {"siem": sink}), Relay(database, {"siem": sink})
    first.deliver()
    sealed.sealed(5)
    second.deliver()
    assert sink.got == []
    first.deliver()
    assert len(sink.got) == 5
