"""Where the server takes answers later, a call that issues credentials is answered when its record is on disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from broker_in_process import ACCOUNT, BrokerInProcess
from granian.server import mp

from broker.later import offer_later_answers
from broker.wsgi import ANSWER_LATER

FORM = "application/x-www-form-urlencoded"
ASSUME = urlencode(
    {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/assumed",
        "RoleSessionName": "later",
    }
).encode()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerInProcess]:
    made = BrokerInProcess(tmp_path_factory.mktemp("later") / "data")
    yield made
    made.close()


def _issued(broker: BrokerInProcess) -> list[str]:
    responses = [event["responseElements"] for event in broker.events() if event["eventName"] == "AssumeRole"]
    return [response["credentials"]["accessKeyId"] for response in responses if response]


def test_credentials_come_with_their_record(broker: BrokerInProcess) -> None:
    answer = broker.ask_later("sts", ASSUME, FORM)
    found = re.search(rb"<AccessKeyId>(\w+)</AccessKeyId>", answer.body)
    assert answer.status == 200
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert found is not None
    assert found[1].decode() in _issued(broker)


def test_no_record_no_credentials(broker: BrokerInProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_records: list[str]) -> None:
        raise OSError("no space left")

    before = _issued(broker)
    monkeypatch.setattr(broker._services.audit._issued, "_write", fail)
    answer = broker.ask_later("sts", ASSUME, FORM)
    at_once = broker.ask("sts", ASSUME, content_type=FORM)
    assert (answer.status, answer.code) == (at_once.status, at_once.code) == (503, "ServiceUnavailable")
    assert b"AccessKeyId" not in answer.body + at_once.body
    monkeypatch.undo()
    assert _issued(broker) == before


def test_a_call_that_only_reads_is_answered_at_once(broker: BrokerInProcess) -> None:
    environ = broker._environ("sts", b"Action=GetCallerIdentity&Version=2011-06-15", "/", FORM, "", signed=True)

    def never() -> None:
        raise AssertionError("nothing to wait for")

    environ[ANSWER_LATER] = never
    told: list[str] = []
    body = b"".join(broker._endpoint(environ, lambda status, _headers: told.append(status)))
    assert told == ["200 OK"]
    assert b"<Arn>" in body


class Connection:
    """Granian's protocol object, as far as answers go."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []

    def response_bytes(self, *answer: Any) -> None:
        self.sent.append(answer)

    def response_iter(self, *answer: Any) -> None:
        self.sent.append(answer)


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mp, "_wsgi_call_wrap", mp._wsgi_call_wrap)  # put back afterwards
    assert offer_later_answers()


@pytest.mark.usefixtures("offered")
def test_what_is_sent_later_is_the_only_answer() -> None:
    connection, kept = Connection(), []

    def application(environ: dict[str, Any], _start_response: Any) -> list[bytes]:
        kept.append(environ[ANSWER_LATER]())
        return []

    mp._wsgi_call_wrap(application, {}, None)(connection, {})
    assert connection.sent == []
    kept[0](200, [], b"done")
    assert connection.sent == [(200, [], b"done")]


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize("body", [[b"page"], iter([b"page"])], ids=["a list", "an iterator"])
def test_other_answers_pass(body: Any) -> None:
    connection = Connection()

    def application(_environ: dict[str, Any], start_response: Any) -> Any:
        start_response("404 Not Found", [("a", "b")])
        return body

    mp._wsgi_call_wrap(application, {}, None)(connection, {})
    ((status, headers, _),) = connection.sent
    assert (status, headers) == (404, [("a", "b")])


def test_a_granian_that_is_built_otherwise_is_offered_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(mp, "_wsgi_call_wrap")
    assert not offer_later_answers()
    assert not hasattr(mp, "_wsgi_call_wrap")
