"""What real signers sign is accepted: botocore in both forms, and the habits of other signers."""

from __future__ import annotations

import hashlib
from datetime import datetime
from unittest import mock
from urllib.parse import quote, urlsplit

import botocore.auth
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from sigv4_signer import BODY, FORM, HOST, KEY_ID, NOW, SECRET, TOKEN, Call, Scope, header_signed, presigned, verify

from broker.aws import sigv4
from broker.aws.sigv4 import SignedRequest, SigningKeyCache, parse_signature


def botocore_signed(
    *,
    method: str = "POST",
    url: str = f"http://{HOST}/",
    body: bytes = BODY,
    headers: dict[str, str] | None = None,
    region: str = "eu-west-1",
    token: str | None = None,
    expires: int | None = None,
    at: datetime = NOW,
) -> Call:
    """What botocore sends; ``expires``: as a presigned URL, which has no body."""
    if expires is not None:
        method, body = "GET", b""
    content = {} if headers is None and method == "GET" else {"Content-Type": FORM}
    request = AWSRequest(method, url, data=body, headers=content | (headers or {}))
    credentials = Credentials(KEY_ID, SECRET, token)
    auth = SigV4Auth(credentials, "sts", region)
    if expires is not None:
        auth = SigV4QueryAuth(credentials, "sts", region, expires)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=at.replace(tzinfo=None)):
        auth.add_auth(request)
    sent = request.prepare()
    parts = urlsplit(sent.url)
    lines = {
        name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in sent.headers.items()
    }
    return Call(method, parts.path or "/", parts.query, {"host": parts.netloc, **lines}, body)


def test_what_a_signature_claims() -> None:
    claimed = verify(botocore_signed(token=TOKEN))
    assert (claimed.access_key_id, claimed.session_token, claimed.expires) == (KEY_ID, TOKEN, None)
    assert (claimed.date, claimed.region, claimed.service) == ("20261124", "eu-west-1", "sts")
    assert claimed.signed_headers == ("content-type", "host", "x-amz-date", "x-amz-security-token")


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "aws-global", "us-gov-west-1", "local", "x"])
@pytest.mark.parametrize("expires", [None, 60])
def test_any_region(region: str, expires: int | None) -> None:
    assert verify(botocore_signed(region=region, expires=expires)).region == region


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Action=AssumeRole&RoleSessionName=a+b%20c%2Bd",
        "Action=TagRole&Value=ü漢\U0001f600".encode(),
        b"a=\x00\xff\n\r",
        b"&&==%%",
        b"x" * 100_000,
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_odd_bodies(body: bytes, token: str | None) -> None:
    verify(botocore_signed(body=body, token=token))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "https://sts.example",
        "https://sts.example:8443/",
        "http://[::1]:8080/",
        "http://localhost:1/sts/v1",
        "http://localhost:1/sts/v1/",
        "http://localhost:1/a%20b/~c/d-e_f.g",
        "http://localhost:1/caf%C3%A9",
        "http://localhost:1/a%2Bb",
    ],
)
@pytest.mark.parametrize("expires", [None, 60])
def test_hosts_ports_and_paths(url: str, expires: int | None) -> None:
    verify(botocore_signed(url=url, expires=expires))


@pytest.mark.parametrize(
    "query",
    [
        "Action=GetCallerIdentity&Version=2011-06-15",
        "Version=2011-06-15&Action=GetCallerIdentity",
        "b=2&a=1&a=0&A=3",
        "empty=&x=%20y%2Bz",
        "u=%C3%BC%E6%BC%A2&t=~-_.",
        "s=%2F%3A%3D%26%25",
        "a-b=1&a=2&a.b=3&aB=4",
        "a=1&&b=2&",
        "a&b=",
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("expires", [None, 604_800])
def test_queries(query: str, token: str | None, expires: int | None) -> None:
    verify(botocore_signed(method="GET", url=f"http://{HOST}/?{query}", token=token, expires=expires))


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Amz-Meta": "  two   spaces\tand a tab  "},
        {"X-Amz-Meta": ""},
        {"X-Amz-Meta-A": "1", "X-Amz-Meta-B": "2", "Accept": "*/*"},
        {"User-Agent": "not signed", "X-Amzn-Trace-Id": "not signed", "Expect": "100-continue"},
        {"amz-sdk-invocation-id": "1-2", "amz-sdk-request": "attempt=1"},
        {"Cache-Control": "no-cache, no-store"},
    ],
)
def test_headers(headers: dict[str, str]) -> None:
    verify(botocore_signed(headers=headers))


def test_the_date_header_of_botocore() -> None:
    """Botocore keeps to Date where the caller has set it, and writes "-0000" for the zone."""
    call = botocore_signed(headers={"Date": "whatever"})
    assert "x-amz-date" not in call.headers
    assert call.headers["date"].endswith("-0000")
    verify(call)


@pytest.mark.parametrize(
    "date", ["Tue, 24 Nov 2026 12:00:00 GMT", "Tue, 24 Nov 2026 14:00:00 +0200", "20261124T120000Z"]
)
def test_the_date_header_of_others(date: str) -> None:
    verify(header_signed(Call().with_header("date", date), dated=False))


def test_x_amz_date_goes_before_date() -> None:
    verify(header_signed(Call().with_header("date", "Tue, 24 Nov 2020 12:00:00 GMT")))


@pytest.mark.parametrize("token", [None, TOKEN])
def test_the_second_signer_signs_as_botocore_does(token: str | None) -> None:
    ours = Call() if token is None else Call().with_header("x-amz-security-token", token)
    assert header_signed(ours).headers["authorization"] == botocore_signed(token=token).headers["authorization"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (", ", ","),
        (", ", " , "),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256   "),
        ("AWS4-HMAC-SHA256 ", "  AWS4-HMAC-SHA256 "),
    ],
)
def test_blanks_in_the_authorization_header(old: str, new: str) -> None:
    call = header_signed(Call())
    verify(call.with_header("authorization", call.headers["authorization"].replace(old, new)))


def test_authorization_parts_in_another_order() -> None:
    call = header_signed(Call())
    scheme, _, rest = call.headers["authorization"].partition(" ")
    verify(call.with_header("authorization", f"{scheme} {', '.join(reversed(rest.split(', ')))}"))


@pytest.mark.parametrize("name", ["content-length", "x-amz-content-sha256", "accept-encoding"])
def test_headers_that_other_signers_sign(name: str) -> None:
    """Go signs Content-Length, curl and the SDKs of S3 the payload's hash, JavaScript whatever there is."""
    values = {"content-length": str(len(BODY)), "x-amz-content-sha256": hashlib.sha256(BODY).hexdigest()}
    verify(header_signed(Call().with_header(name, values.get(name, "identity"))))


def test_only_host_and_date_need_to_be_signed() -> None:
    verify(header_signed(Call(), Scope(unsigned=("content-type",))))


def test_a_plus_sign_in_the_query_is_a_space_for_both() -> None:
    """The form reads "+" as a space, so the signature does: Go sends "+" and signs "%20"."""
    call = header_signed(Call("GET", query="a=b%20c", body=b""))
    verify(Call(call.method, call.path, "a=b+c", call.headers, call.body))


@pytest.mark.parametrize("seconds", [-300, -299, 0, 299, 300])
def test_the_clock_may_differ_by_the_window(seconds: int) -> None:
    verify(header_signed(Call()), seconds=seconds)


@pytest.mark.parametrize("seconds", [-300, 0, 301, 899])
def test_a_presigned_url_lives_as_long_as_it_says(seconds: int) -> None:
    verify(presigned(Call("GET", query="Action=GetCallerIdentity", body=b"")), seconds=seconds)


@pytest.mark.parametrize("expires", [1, 604_800])
def test_the_limits_of_expires(expires: int) -> None:
    assert verify(botocore_signed(expires=expires)).expires == expires


def test_an_unsigned_request_has_no_signature() -> None:
    assert parse_signature(Call().arrived()) is None
    for query in ("Action=GetCallerIdentity", "a=X-Amz-Signature", "aX-Amz-Signature=b", "x-amz-signature=c"):
        assert parse_signature(Call("GET", query=query).arrived()) is None


def test_signing_keys_are_derived_once() -> None:
    cache = SigningKeyCache(2)
    with mock.patch.object(sigv4, "signing_key", wraps=sigv4.signing_key) as key:
        for region in ("a", "a", "b", "c", "b", "c"):
            verify(header_signed(Call(), Scope(region=region)), signing_keys=cache)
        assert key.call_count == 3
        verify(header_signed(Call(), Scope(region="a")), signing_keys=cache)
        assert key.call_count == 4  # it was the oldest of three, and the cache holds two


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(texts.filter(bool), texts, max_size=5), st.binary(max_size=60), st.booleans())
def test_any_query_and_body(parameters: dict[str, str], body: bytes, is_presigned: bool) -> None:
    query = "&".join(
        f"{quote(name, '-_.~')}={quote(value, '-_.~')}"
        for name, value in parameters.items()
        if not name.startswith("X-Amz-")
    )
    verify((presigned if is_presigned else header_signed)(Call(query=query, body=body)))


def test_the_request_is_read_from_the_wsgi_environment() -> None:
    request = header_signed(Call()).arrived()
    assert isinstance(request, SignedRequest)
    assert {"HTTP_HOST", "HTTP_X_AMZ_DATE", "HTTP_AUTHORIZATION", "CONTENT_TYPE"} <= set(request.headers)
