"""SIG-01 to SIG-11: what is not exactly what was signed is refused, each by its own vector.

``tests/vectors/sigv4/refused.json``, one object a line: ``before`` changes the call that ``sign`` then signs, ``after``
changes what was signed. Without its fault every vector would be accepted; that is tested too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sigv4_signer import BODY, NOW, SECRET, TOKEN, Call, Scope, header_signed, presigned, verify

from broker.aws import errors
from broker.aws.canonical import canonical_query
from broker.aws.sigv4 import (
    MAX_PRESIGNED_SECONDS,
    SignedRequest,
    SigningKeyCache,
    _authorization_parts,
    parse_signature,
    verify_signature,
)
from broker.errors import BrokerError

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/sigv4/refused.json").read_text())
GET = Call("GET", query=BODY.decode(), body=b"", headers={"host": "127.0.0.1:8080"})
POST_SESSION = Call().with_header("x-amz-security-token", TOKEN)

BASES: dict[str, Callable[[Call, Scope], Call]] = {
    "post": header_signed,
    "get": header_signed,
    "session": header_signed,
    "undated": lambda call, scope: header_signed(call, scope, dated=False),
    "wrong secret": lambda call, scope: header_signed(call, scope, f"{SECRET}x"),
    "presigned": presigned,
    "presigned session": lambda call, scope: presigned(call, scope, token=TOKEN),
    "presigned wrong secret": lambda call, scope: presigned(call, scope, f"{SECRET}x"),
}


def _signature(change: Callable[[str], str]) -> Callable[[Call], Call]:
    def changed(call: Call) -> Call:
        head, equals, digits = call.headers["authorization"].rpartition("Signature=")
        return call.with_header("authorization", head + equals + change(digits))

    return changed


CHANGES: dict[str, Callable[..., Callable[[Call], Call]]] = {
    "header": lambda name, value: lambda call: call.with_header(name, value),
    "no header": lambda name: lambda call: call.with_header(name, None),
    "environ": lambda key, value: lambda call: call.with_header(key.removeprefix("HTTP_").lower(), value),
    "method": lambda method: lambda call: replace(call, method=method),
    "path": lambda path: lambda call: replace(call, path=path),
    "query": lambda query: lambda call: replace(call, query=query),
    "add to query": lambda text: lambda call: replace(call, query=call.query + text),
    "in query": lambda old, new: lambda call: replace(call, query=_replaced(call.query, old, new)),
    "body": lambda body: lambda call: replace(call, body=body.encode("latin-1")),
    "authorization": lambda old, new: (
        lambda call: call.with_header("authorization", _replaced(call.headers["authorization"], old, new))
    ),
    "double authorization": lambda joint: (
        lambda call: call.with_header("authorization", joint.join([call.headers["authorization"]] * 2))
    ),
    "signature": lambda digits: _signature(lambda _: digits),
    "cut signature": lambda length: _signature(lambda digits: digits[:length]),
    "append to signature": lambda more: _signature(lambda digits: digits + more),
    "upper signature": lambda: _signature(str.upper),
}


def _replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old} is not once in {text}"
    return text.replace(old, new)


def _applied(call: Call, changes: list[list[Any]]) -> Call:
    for name, *arguments in changes:
        call = CHANGES[name](*arguments)(call)
    return call


def _start(base: str) -> Call:
    if base == "session":
        return POST_SESSION
    return GET if base == "get" or base.startswith("presigned") else Call()


def _built(vector: dict[str, Any]) -> Call:
    call = _applied(_start(vector["base"]), vector.get("before", []))
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in vector.get("sign", {}).items()}
    return _applied(BASES[vector["base"]](call, Scope(**fields)), vector.get("after", []))


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{vector['row']} {vector['name']}" for vector in VECTORS])
def test_vector(vector: dict[str, Any]) -> None:
    with pytest.raises(getattr(errors, vector["code"])) as refusal:
        verify(_built(vector), seconds=vector.get("seconds", 0))
    message = refusal.value.message
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 700
    assert SECRET not in message + refusal.value.detail
    assert TOKEN not in message + refusal.value.detail


@pytest.mark.parametrize("base", [base for base in BASES if "wrong" not in base])
def test_without_its_fault_the_request_is_accepted(base: str) -> None:
    call = _start(base)
    if base == "undated":
        call = call.with_header("date", "Tue, 24 Nov 2026 12:00:00 GMT")
    verify(BASES[base](call, Scope()))


def test_there_are_enough_vectors() -> None:
    assert len({(vector["row"], vector["name"]) for vector in VECTORS}) == len(VECTORS) >= 185
    assert {vector["row"] for vector in VECTORS} == {f"SIG-{row:02}" for row in (1, 2, 3, 5, 6, 7, 9, 10, 11)}


@pytest.mark.parametrize("base", ["post", "get", "session"])
def test_every_digit_of_the_signature_counts(base: str) -> None:
    signed = header_signed(_start(base))
    for position in range(64):
        flipped = _signature(
            lambda digits, at=position: digits[:at] + f"{int(digits[at], 16) ^ 1:x}" + digits[at + 1 :]
        )
        with pytest.raises(errors.SignatureDoesNotMatch):
            verify(flipped(signed))


@pytest.mark.parametrize("is_presigned", [False, True])
def test_every_byte_of_the_signed_parts_counts(is_presigned: bool) -> None:
    call = (presigned if is_presigned else header_signed)(Call(query="Action=GetCallerIdentity&Version=2011-06-15"))
    for position, byte in enumerate(call.body):
        changed = call.body[:position] + bytes([byte ^ 1]) + call.body[position + 1 :]
        with pytest.raises(BrokerError):
            verify(replace(call, body=changed))
    for position, character in enumerate(call.query):
        changed_query = f"{call.query[:position]}{chr(ord(character) ^ 1)}{call.query[position + 1 :]}"
        with pytest.raises(BrokerError):
            verify(replace(call, query=changed_query))


def test_the_secret_of_another_caller_does_not_verify() -> None:
    cache = SigningKeyCache(4)
    call = header_signed(Call())
    verify(call, signing_keys=cache)
    with pytest.raises(errors.SignatureDoesNotMatch):
        verify(call, secret="another", signing_keys=cache)
    verify(call, signing_keys=cache)


def test_a_rotated_secret_does_not_meet_the_old_key() -> None:
    cache = SigningKeyCache(4)
    verify(header_signed(Call()), signing_keys=cache)
    verify(header_signed(Call(), secret="rotated"), secret="rotated", signing_keys=cache)
    with pytest.raises(errors.SignatureDoesNotMatch):
        verify(header_signed(Call()), secret="rotated", signing_keys=cache)


def test_nobody_without_a_secret_fills_the_cache() -> None:
    cache = SigningKeyCache(4)
    verify(header_signed(Call()), signing_keys=cache)
    for number in range(8):
        with pytest.raises(errors.SignatureDoesNotMatch):
            verify(header_signed(Call(), Scope(region=f"r{number}"), "wrong"), signing_keys=cache)
    assert len(cache._keys) == 1


def test_the_service_is_the_one_that_is_asked() -> None:
    verify(header_signed(Call(), Scope(service="iam")), service="iam")
    with pytest.raises(errors.SignatureDoesNotMatch, match=r"scoped to correct service: 'iam'\."):
        verify(header_signed(Call()), service="iam")


def test_the_hash_of_the_body_is_in_lower_case() -> None:
    digest = hashlib.sha256(BODY).hexdigest().upper()
    call = Call().with_header("x-amz-content-sha256", digest)
    with pytest.raises(errors.SignatureDoesNotMatch):
        verify(header_signed(call, Scope(payload_hash=digest)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["header", "authorization", "Bearer x"], "Authorization header requires 'Credential' parameter. Authorization"
         " header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter."),
        (["no header", "x-amz-date"], "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date'"
         " header."),
        (["header", "x-amz-date", "24.11.2026"], "Date must be in ISO-8601 'basic format'. Got '24.11.2026'. See"
         " http://en.wikipedia.org/wiki/ISO_8601"),
        (["authorization", "/aws4_request", ""], "Credential must have exactly 5 slash-delimited elements, e.g."
         " keyid/date/region/service/term, got 'AKIAIOSFODNN7EXAMPLE/20261124/eu-west-1/sts'"),
        (["header", "authorization", "AWS4-HMAC-SHA1 Credential=x"], "Unsupported signing algorithm; AWS4-HMAC-SHA256"
         " is required."),
        (["authorization", "Signature=", "Signature:"], "Not a valid key=value pair (missing equal-sign) in"
         " Authorization header."),
        (["authorization", "/aws4_request", "/aws5_request"], "Credential should be scoped with a valid terminator:"
         " 'aws4_request', not 'aws5_request'."),
        (["authorization", "/sts/", "/s3/"], "Credential should be scoped to correct service: 'sts'."),
        (["authorization", "/eu-west-1/", "//"], "Credential should be scoped to a valid region."),
        (["authorization", "/20261124/", "/20261123/"], "Date in Credential scope does not match YYYYMMDD from ISO-8601"
         " version of date from HTTP: '20261123' != '20261124', from '20261124T120000Z'."),
        (["authorization", "host;", ""], "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
        (["body", "x"], "The request signature we calculated does not match the signature you provided. Check your AWS"
         " Secret Access Key and signing method. Consult the service documentation for details."),
    ],
)  # fmt: skip
def test_the_sentence(change: list[str], sentence: str) -> None:
    with pytest.raises(BrokerError) as refusal:
        verify(_applied(header_signed(Call()), [change]))
    assert refusal.value.message == sentence


@pytest.mark.parametrize(
    ("seconds", "window", "now", "minutes"),
    [(301, 300, "120501", "5 min."), (901, 900, "121501", "15 min."), (91, 90, "120131", "1.5 min.")],
)
def test_the_sentence_about_a_late_signature(seconds: int, window: int, now: str, minutes: str) -> None:
    with pytest.raises(errors.SignatureDoesNotMatch) as refusal:
        verify(header_signed(Call()), seconds=seconds, window_seconds=window)
    assert refusal.value.message == (
        "Signature expired: 20261124T120000Z is now earlier than 20261124T120001Z"
        f" (20261124T{now}Z - {minutes})"
    )  # fmt: skip


def test_the_sentence_about_an_early_signature() -> None:
    with pytest.raises(errors.SignatureDoesNotMatch) as refusal:
        verify(header_signed(Call()), seconds=-301)
    assert refusal.value.message == (
        "Signature not yet current: 20261124T120000Z is still later than 20261124T115959Z"
        " (20261124T115459Z + 5 min.)"
    )  # fmt: skip


def test_what_was_sent_is_echoed_short_and_printable() -> None:
    with pytest.raises(errors.IncompleteSignature) as refusal:
        verify(header_signed(Call()).with_header("x-amz-date", "<\u0000\u00fc>" + "x" * 5000))
    assert "'<??>xxx" in refusal.value.message
    assert len(refusal.value.message) < 300


wire_text = st.text(st.characters(max_codepoint=0xFF), max_size=120)
authorizations = st.one_of(
    wire_text,
    wire_text.map("AWS4-HMAC-SHA256 {}".format),
    st.builds(
        "AWS4-HMAC-SHA256 Credential={}/{}/{}/{}/{}, SignedHeaders={}, Signature={}".format,
        *[wire_text] * 7,
    ),
)


@settings(max_examples=400, deadline=None)
@given(
    authorizations,
    wire_text,
    st.dictionaries(
        st.sampled_from(["HTTP_X_AMZ_DATE", "HTTP_DATE", "HTTP_HOST", "HTTP_X_AMZ_SECURITY_TOKEN", "HTTP_X_AMZ_A"]),
        wire_text | st.just("20261124T120000Z"),
    ),
    wire_text,
)
def test_noise_is_refused(authorization: str, query: str, headers: dict[str, str], path: str) -> None:
    request = SignedRequest("POST", path, query, {"HTTP_AUTHORIZATION": authorization, **headers}, b"")
    with pytest.raises(BrokerError):
        _verified(request)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token"]
        ).map("X-Amz-{}".format),
        st.one_of(
            wire_text,
            st.sampled_from(
                [
                    "AWS4-HMAC-SHA256",
                    "AKIAIOSFODNN7EXAMPLE/20261124/eu-west-1/sts/aws4_request",
                    "20261124T120000Z",
                    "00010101T000000Z",
                    "99991231T235959Z",
                    str(MAX_PRESIGNED_SECONDS),
                    "host",
                    "0" * 64,
                ]
            ),
        ),
        min_size=1,
    )
)
def test_presigned_noise_is_refused(parameters: dict[str, str]) -> None:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    request = SignedRequest("GET", "/", query, {"HTTP_HOST": "a"}, b"")
    with pytest.raises(BrokerError):
        _verified(request)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.booleans())
def test_mutations_are_refused(data: st.DataObject, is_presigned: bool) -> None:
    """One character of anything that is signed put in, taken out or replaced."""
    call = (presigned if is_presigned else header_signed)(Call(path="/sts/v1", query="Action=a%20b&c=d").with_header(
        "x-amz-meta", "value"
    ))  # fmt: skip
    part = data.draw(st.sampled_from(["method", "path", "query", "body", *sorted(call.headers)]))
    text = _part(call, part)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 2)))
    middle = data.draw(st.text(st.characters(max_codepoint=0xFF), max_size=2))
    changed = _with_part(call, part, text[:start] + middle + text[end:])
    assume(_meaning(changed) != _meaning(call))
    with pytest.raises(BrokerError):
        verify(changed)


def _part(call: Call, part: str) -> str:
    if part in ("method", "path", "query"):
        return str(getattr(call, part))
    return call.body.decode("latin-1") if part == "body" else call.headers[part]


def _with_part(call: Call, part: str, text: str) -> Call:
    if part in ("method", "path", "query"):
        return replace(call, **{part: text})
    return replace(call, body=text.encode("latin-1")) if part == "body" else call.with_header(part, text)


def _meaning(call: Call) -> object:
    """What two requests may differ in without being two: blanks around and in headers, escapes, order of the query."""
    try:
        query = canonical_query(call.query, without_signature=False)
    except BrokerError:
        query = call.query
    headers = {name: " ".join(text.strip(" \t").replace("\t", " ").split(" ")) for name, text in call.headers.items()}
    headers = {name: " ".join(filter(None, text.split(" "))) for name, text in headers.items()}
    if "authorization" in headers:
        try:
            headers["authorization"] = str(sorted(_authorization_parts(headers["authorization"]).items()))
        except BrokerError:
            pass
    return call.method, call.arrived().path, query, headers, call.body


def _verified(request: SignedRequest) -> None:
    signature = parse_signature(request)
    if signature is None:
        raise errors.MissingAuthenticationToken("")
    verify_signature(
        request, signature, SECRET, service="sts", now=NOW, window_seconds=300, signing_keys=SigningKeyCache(1)
    )
