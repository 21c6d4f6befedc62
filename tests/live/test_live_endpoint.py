"""The endpoint as HTTP: limits, bodies, errors, health, and garbage that must never be answered with a 5xx."""

from __future__ import annotations

import json
import string
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from realm import wire
from realm.server import ACCOUNT, REGION, BrokerServer, Keys
from realm.site import user_arn

LIMIT = 1_048_576
"""``server.max_body_bytes``"""
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


# --- answers ------------------------------------------------------------------------------------------------------


def test_an_answer_is_awss_xml(broker: BrokerServer, ci: Keys) -> None:
    answer = wire.call(broker, ci)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/xml")
    assert answer.headers["cache-control"] == "no-store"
    assert "date" in answer.headers
    root = ElementTree.fromstring(answer.body)
    assert root.tag == f"{{{NAMESPACE}}}GetCallerIdentityResponse"
    found = {element.tag.rpartition("}")[2]: element.text for element in root.iter()}
    assert (found["Arn"], found["Account"]) == (user_arn("ci"), ACCOUNT)
    assert found["RequestId"] == answer.request_id


def test_an_error_is_awss_xml(broker: BrokerServer) -> None:
    answer = wire.post(broker, wire.form("GetCallerIdentity"))
    root = ElementTree.fromstring(answer.body)
    assert root.tag == f"{{{NAMESPACE}}}ErrorResponse"
    found = {element.tag.rpartition("}")[2]: element.text for element in root.iter()}
    assert (answer.status, found["Type"], found["Code"]) == (403, "Sender", "MissingAuthenticationToken")
    assert found["Message"] == "Request is missing Authentication Token"
    assert found["RequestId"] == answer.request_id
    assert "date" in answer.headers


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "MissingAction"),
        (b"Version=2011-06-15", 400, "MissingAction"),
        (b"Action=", 400, "MissingAction"),
        (b"Action=Nonsense&Version=2011-06-15", 400, "InvalidAction"),
        (b"Action=__class__&Version=2011-06-15", 400, "InvalidAction"),
        (b"Action=getcalleridentity&Version=2011-06-15", 400, "InvalidAction"),
        (b"Action=GetCallerIdentity&Version=1999-01-01", 400, "InvalidAction"),
        (b"Action=GetCallerIdentity&Action=AssumeRole&Version=2011-06-15", 400, None),
        (b"Action=%ff%fe&Version=2011-06-15", None, None),
        (b"Action=Get%00CallerIdentity&Version=2011-06-15", 400, None),
        (b"&".join(b"k%d=v" % number for number in range(20_000)), None, None),
        (b"\x00\xff" * 1_000, None, None),
    ],
)
def test_a_request_that_names_no_operation(
    broker: BrokerServer, body: bytes, status: int | None, code: str | None
) -> None:
    answer = wire.post(broker, body)
    assert 400 <= answer.status < 500
    assert status in (None, answer.status)
    assert answer.code
    assert code in (None, answer.code)
    assert broker.event(answer.request_id)["errorCode"] == answer.code


def test_action_in_query_and_body(broker: BrokerServer, ci: Keys) -> None:
    body = wire.form("GetCallerIdentity")
    headers = wire.signed_headers(broker, ci, body, query={"Action": "AssumeRole"})
    assert 400 <= wire.post(broker, body, headers, "/?Action=AssumeRole").status < 500


@pytest.mark.parametrize("path", ["/sts/v1", "/sts/v1/"])
def test_the_path_prefix(broker: BrokerServer, ci: Keys, path: str) -> None:
    body = wire.form("GetCallerIdentity")
    assert wire.post(broker, body, wire.signed_headers(broker, ci, body, path=path), path).status == 200


@pytest.mark.parametrize("path", ["/sts", "/sts/v1/x", "//", "/%2e/", "/sts/v1//", "/unknown", "/sts%2fv1"])
def test_other_paths_are_not_the_endpoint(broker: BrokerServer, ci: Keys, path: str) -> None:
    body = wire.form("GetCallerIdentity")
    answer = wire.post(broker, body, wire.signed_headers(broker, ci, body, path=path), path)
    assert answer.status in (403, 404, 405), answer


# --- bodies -------------------------------------------------------------------------------------------------------


def test_a_body_over_the_limit_is_refused_unread(broker: BrokerServer) -> None:
    """The answer comes although nothing of the body was sent."""
    headers = {"Host": broker.host, "Content-Type": wire.FORM, "Content-Length": str(LIMIT + 1)}
    answer = wire.send(broker, wire.head("POST", "/", headers))
    assert (answer.status, answer.code) == (413, "RequestEntityTooLarge")
    assert broker.event(answer.request_id)["errorCode"] == "RequestEntityTooLarge"


@pytest.mark.parametrize("length", ["-1", "1e3", "+5", "0x10", "99999999999999999999999999", "1, 2", "a"])
def test_a_content_length_that_is_none(broker: BrokerServer, length: str) -> None:
    headers = {"Host": broker.host, "Content-Type": wire.FORM, "Content-Length": length}
    answer = wire.send(broker, wire.head("POST", "/", headers), b"Action=GetCallerIdentity")
    assert answer.status < 500


def _chunks(body: bytes, size: int) -> bytes:
    parts = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_a_chunked_body(broker: BrokerServer, ci: Keys, size: int) -> None:
    body = wire.form("GetCallerIdentity")
    headers = wire.signed_headers(broker, ci, body) | {"Transfer-Encoding": "chunked"}
    answer = wire.send(broker, wire.head("POST", "/", headers), _chunks(body, size))
    assert (answer.status, answer.code) == (200, "")


def test_a_chunked_body_over_the_limit(broker: BrokerServer) -> None:
    headers = {"Host": broker.host, "Content-Type": wire.FORM, "Transfer-Encoding": "chunked"}
    body = b"Action=GetCallerIdentity&Padding=" + b"x" * (LIMIT + 100_000)
    answer = wire.send(broker, wire.head("POST", "/", headers), _chunks(body, 65_536))
    assert (answer.status, answer.code) == (413, "RequestEntityTooLarge")


def test_a_chunked_body_that_breaks_off(broker: BrokerServer) -> None:
    headers = {"Host": broker.host, "Content-Type": wire.FORM, "Transfer-Encoding": "chunked"}
    for rest in (b"zz\r\nabc\r\n0\r\n\r\n", b"-1\r\n\r\n", b"ffffffffffffffffff\r\nabc"):
        assert wire.send(broker, wire.head("POST", "/", headers), rest).status < 500


def test_both_length_and_chunked(broker: BrokerServer, ci: Keys) -> None:
    """Request smuggling's favourite: one of the two must not be believed silently."""
    body = wire.form("GetCallerIdentity")
    headers = wire.signed_headers(broker, ci, body) | {"Transfer-Encoding": "chunked", "Content-Length": "4"}
    answer = wire.send(broker, wire.head("POST", "/", headers), _chunks(body, 1_000))
    assert answer.status < 500


def test_a_get_may_not_carry_the_call_in_its_body(broker: BrokerServer, ci: Keys) -> None:
    body = wire.form("GetCallerIdentity")
    headers = wire.signed_headers(broker, ci, body, method="GET") | {"Content-Length": str(len(body))}
    assert wire.send(broker, wire.head("GET", "/", headers), body).status < 500


# --- health and people --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "key"), [("/healthz", "status"), ("/readyz", "status"), ("/version", "version")])
def test_health(broker: BrokerServer, path: str, key: str) -> None:
    answer = wire.ask(broker, "GET", path)
    assert answer.status == 200
    assert json.loads(answer.body)[key]


def test_a_person_finds_a_page(broker: BrokerServer) -> None:
    answer = wire.ask(broker, "GET", "/", headers={"Accept": "text/html"})
    assert answer.status == 303
    assert answer.headers["location"] == "/portal"
    answer = wire.ask(broker, "GET", "/sign-in", headers={"Accept": "text/html"})
    assert answer.status == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_host_header_is_never_reflected(broker: BrokerServer) -> None:
    answer = wire.ask(broker, "GET", "/", headers={"Host": "evil.example"})
    assert b"evil.example" not in answer.body


# --- garbage ------------------------------------------------------------------------------------------------------

_budget = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
_token = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=12)
_value = st.text(st.characters(min_codepoint=32, max_codepoint=255, blacklist_characters="\x7f"), max_size=60)
_actions = st.sampled_from(
    ["GetCallerIdentity", "AssumeRole", "AssumeRoleWithWebIdentity", "GetAccessKeyInfo", "GetSessionToken", "X", ""]
)
_names = st.sampled_from(
    [
        *("RoleArn", "RoleSessionName", "WebIdentityToken", "DurationSeconds", "Policy", "PolicyArns.member.1.arn"),
        *("Tags.member.1.Key", "Tags.member.1.Value", "Tags.member.99999999999.Key", "Tags.member.x.Key", "Tags"),
        *("TransitiveTagKeys.member.1", "Tags.member.-1", "AccessKeyId", "..", "Version", "Action"),
    ]
)
_texts = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            "arn:aws:iam::123456789012:role/web",
            "abc",
            "-1",
            "99999999999999999999",
            "{}",
            "a.b.c",
            "e30.e30.e30",
            "\x00",
        ]
    ),
)


def _check(answer: wire.Answer) -> None:
    assert answer.status < 500, answer
    if answer.status >= 400 and answer.headers.get("content-type", "").startswith("text/xml"):
        ElementTree.fromstring(answer.body)


@_budget
@given(action=_actions, parameters=st.dictionaries(st.one_of(_names, st.text(max_size=20)), _texts, max_size=6))
def test_no_form_is_answered_with_a_5xx(broker: BrokerServer, action: str, parameters: dict[str, str]) -> None:
    from urllib.parse import urlencode

    body = urlencode({"Action": action, "Version": wire.VERSION, **parameters}, errors="surrogatepass").encode()
    _check(wire.post(broker, body))


@_budget
@given(action=_actions, parameters=st.dictionaries(_names.filter(lambda name: name != "Action"), _texts, max_size=6))
def test_no_signed_form_is_answered_with_a_5xx(
    broker: BrokerServer, ci: Keys, action: str, parameters: dict[str, str]
) -> None:
    _check(wire.call(broker, ci, action, **parameters))


@_budget
@given(body=st.binary(max_size=200), content_type=st.one_of(st.just(wire.FORM), _value.map(str.strip)))
def test_no_body_is_answered_with_a_5xx(broker: BrokerServer, body: bytes, content_type: str) -> None:
    headers = [("Host", broker.host), ("Content-Type", content_type), ("Content-Length", str(len(body)))]
    _check(wire.send(broker, wire.head("POST", "/", headers), body))


_signature_parts = st.lists(
    st.sampled_from(
        [
            *("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512", " ", ",", "=", "Credential=", "SignedHeaders=", "Signature="),
            *(
                "AKIAIOSFODNN7EXAMPLE",
                "/20260101",
                f"/{REGION}",
                "/sts",
                "/iam",
                "/aws4_request",
                "host",
                ";",
                "x-amz-date",
            ),
            *("f" * 64, "F" * 64, "é" * 8, "0" * 63, "Basic YTpi", "Bearer x"),
        ]
    ),
    max_size=24,
).map("".join)


@_budget
@given(
    authorization=_signature_parts,
    date=st.one_of(st.sampled_from(["20261124T000000Z", "2026", "99999999T999999Z", "００"]).map(str), _value),
    token=st.one_of(st.none(), _value),
)
def test_no_authorization_is_answered_with_a_5xx(
    broker: BrokerServer, authorization: str, date: str, token: str | None
) -> None:
    headers = [("Host", broker.host), ("Content-Type", wire.FORM), ("Authorization", authorization)]
    headers += [("X-Amz-Date", date)] + ([("X-Amz-Security-Token", token)] if token is not None else [])
    body = wire.form("GetCallerIdentity")
    encoded = [(name, value.encode("utf-8").decode("latin-1")) for name, value in headers]
    _check(wire.send(broker, wire.head("POST", "/", [*encoded, ("Content-Length", str(len(body)))]), body))


@_budget
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "FOO"]),
    path=st.lists(
        st.sampled_from(
            ["/", "sts", "v1", "?", "&", "=", "%", "%00", "%ff", "X-Amz-Algorithm=AWS4-HMAC-SHA256", "..", "é"]
        )
        | st.sampled_from(
            ["Action=GetCallerIdentity", "X-Amz-Expires=-1", "X-Amz-Date=x", "X-Amz-Signature=", "healthz"]
        ),
        max_size=10,
    ).map("".join),
    headers=st.lists(st.tuples(_token, _value), max_size=4),
)
def test_no_request_line_is_answered_with_a_5xx(
    broker: BrokerServer, method: str, path: str, headers: list[tuple[str, str]]
) -> None:
    known = {"content-length", "transfer-encoding", "connection", "expect", "upgrade", "host"}
    extra = [(name, value) for name, value in headers if name.lower() not in known]
    target = f"/{path}".encode().decode("latin-1")
    _check(wire.send(broker, wire.head(method, target, [("Host", broker.host), ("Connection", "close"), *extra])))


@_budget
@given(noise=st.binary(min_size=1, max_size=80).map(lambda noise: noise.replace(b"\n", b"\r\n")))
def test_no_noise_is_answered_with_a_5xx(broker: BrokerServer, noise: bytes) -> None:
    _check(wire.send(broker, noise + b"\r\n\r\n\r\n\r\n", finished=True))


def test_after_all_that_the_broker_serves(broker: BrokerServer, ci: Keys) -> None:
    assert wire.call(broker, ci).status == 200
    assert "unexpected error" not in broker.log()
