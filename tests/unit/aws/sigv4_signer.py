"""A second, slow Signature Version 4, written from AWS's description: it signs whatever a test wants signed.

Source: AWS IAM User Guide, "Create a signed AWS API request". ``test_sigv4_accepted`` holds it against botocore.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from broker.aws.sigv4 import SignedRequest, SigningKeyCache, UnverifiedSignature, parse_signature, verify_signature

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEXAMPLE//////////wEaDtoken+with/odd=characters=="
HOST = "127.0.0.1:8080"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
BODY = b"Action=GetCallerIdentity&Version=2011-06-15"


@dataclass(frozen=True)
class Call:
    """An HTTP request; header names in lower case."""

    method: str = "POST"
    path: str = "/"
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: {"host": HOST, "content-type": FORM})
    body: bytes = BODY

    def with_header(self, name: str, value: str | None) -> Call:
        headers = {key: text for key, text in self.headers.items() if key != name}
        return replace(self, headers=headers if value is None else {**headers, name: value})

    def arrived(self) -> SignedRequest:
        """As a WSGI server hands it over."""
        environ = {"REQUEST_METHOD": self.method, "CONTENT_LENGTH": str(len(self.body)), "REMOTE_ADDR": "127.0.0.1"}
        for name, value in self.headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        path = unquote(self.path, "latin-1")
        return SignedRequest(self.method, path, self.query, environ, self.body)


@dataclass(frozen=True)
class Scope:
    """What a signer may get wrong."""

    algorithm: str = "AWS4-HMAC-SHA256"
    key_id: str = KEY_ID
    timestamp: str = "20261124T120000Z"
    date: str = "20261124"
    region: str = "eu-west-1"
    service: str = "sts"
    terminator: str = "aws4_request"
    payload_hash: str | None = None
    expires: str = "900"
    unsigned: tuple[str, ...] = ()
    names: str | None = None
    """SignedHeaders as written, if other than it should be."""

    @property
    def credential(self) -> str:
        return f"{self.key_id}/{self.date}/{self.region}/{self.service}/{self.terminator}"


def header_signed(call: Call, scope: Scope | None = None, secret: str = SECRET, *, dated: bool = True) -> Call:
    """``call`` with X-Amz-Date and Authorization."""
    scope = scope or Scope()
    if dated:
        call = call.with_header("x-amz-date", scope.timestamp)
    names = _names(call, scope)
    signature = _signature(call, scope, secret, names, call.query)
    return call.with_header(
        "authorization",
        f"{scope.algorithm} Credential={scope.credential}, SignedHeaders={names}, Signature={signature}",
    )


def presigned(call: Call, scope: Scope | None = None, secret: str = SECRET, token: str | None = None) -> Call:
    """``call`` with a signature in its query."""
    scope = scope or Scope()
    names = _names(call, scope)
    added = {
        "X-Amz-Algorithm": scope.algorithm,
        "X-Amz-Credential": scope.credential,
        "X-Amz-Date": scope.timestamp,
        "X-Amz-Expires": scope.expires,
        "X-Amz-SignedHeaders": names,
        **({"X-Amz-Security-Token": token} if token else {}),
    }
    query = "&".join([*filter(None, [call.query]), *(f"{name}={quote(text, '-_.~')}" for name, text in added.items())])
    return replace(call, query=f"{query}&X-Amz-Signature={_signature(call, scope, secret, names, query)}")


def verify(call: Call, secret: str = SECRET, *, seconds: float = 0, **options: Any) -> UnverifiedSignature:
    """Parse and verify as the endpoint does, ``seconds`` after NOW. ``secret`` is that of KEY_ID alone."""
    arguments: dict[str, Any] = {"service": "sts", "window_seconds": 300, "signing_keys": SigningKeyCache(10)} | options
    request = call.arrived()
    signature = parse_signature(request)
    assert signature is not None, "the request is not signed"
    if signature.access_key_id != KEY_ID:
        secret = "another caller's"
    verify_signature(request, signature, secret, now=NOW + timedelta(seconds=seconds), **arguments)
    return signature


def _names(call: Call, scope: Scope) -> str:
    if scope.names is not None:
        return scope.names
    return ";".join(sorted(name for name in call.headers if name not in ("authorization", *scope.unsigned)))


def _signature(call: Call, scope: Scope, secret: str, names: str, query: str) -> str:
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    encoded = sorted((quote(unquote(name), "-_.~"), quote(unquote(text), "-_.~")) for name, text in pairs)
    payload_hash = scope.payload_hash or hashlib.sha256(call.body).hexdigest()
    headers = {name.lower(): " ".join(text.split()) for name, text in call.headers.items()}
    canonical = "\n".join(
        [
            call.method,
            quote(call.path, "/-_.~"),
            "&".join(f"{name}={text}" for name, text in encoded),
            *(f"{name}:{headers.get(name.lower(), '')}" for name in names.split(";")),
            "",
            names,
            payload_hash,
        ]
    )
    hashed = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in scope.credential.split("/")[1:]:
        key = hmac.new(key, part.encode(), "sha256").digest()
    to_sign = "\n".join([scope.algorithm, scope.timestamp, scope.credential.partition("/")[2], hashed])
    return hmac.new(key, to_sign.encode(), "sha256").hexdigest()
