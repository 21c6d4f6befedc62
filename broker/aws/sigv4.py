"""AWS Signature Version 4: is this request, as it arrived, the one that the holder of the secret signed?

Source: AWS IAM User Guide, "Create a signed AWS API request". Both forms: the Authorization header, and presigned
URLs. Any region is taken, because clients sign whatever region they are configured with; date and service must fit.

``parse_signature`` only reads; nothing it returns is believed until ``verify_signature`` has come back:

1. the scope: date, service, terminator; 2. the clock; 3. what must be signed, is; 4. the payload's hash;
5. the canonical request; 6. the signature, compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, unquote_to_bytes

from broker.aws.errors import IncompleteSignature, RequestExpired, SignatureDoesNotMatch

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
MAX_PRESIGNED_SECONDS = 604_800

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_ISO_BASIC = "%Y%m%dT%H%M%SZ"
_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_ACCESS_KEY_ID = re.compile(r"\w{16,128}", re.ASCII)
_EXPIRES = re.compile(r"[0-9]{1,7}")
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=([^\s,]+), *SignedHeaders=([^\s,]+), *Signature=([^\s,]+)", re.ASCII
)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SPACES = re.compile(" +")
_PARTS = ("Credential", "SignedHeaders", "Signature")


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it came over the wire. ``headers`` is the WSGI environment; ``path`` its decoded PATH_INFO."""

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class UnverifiedSignature:
    """What a request claims about its signature. ``expires`` (seconds) is set for presigned URLs alone."""

    access_key_id: str
    date: str
    region: str
    service: str
    terminator: str
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    session_token: str | None
    expires: int | None = None


class SigningKeyCache:
    """Derived signing keys of the last callers: the derivation costs four HMACs. Bounded; safe among threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._keys: dict[tuple[str, str, str, str, str], bytes] = {}
        self._lock = threading.Lock()

    def get(self, secret: str, signature: UnverifiedSignature) -> bytes:
        key = (signature.access_key_id, secret, signature.date, signature.region, signature.service)
        found = self._keys.get(key)
        if found is None:
            found = signing_key(secret, signature.date, signature.region, signature.service)
            with self._lock:
                if len(self._keys) >= self._size:
                    self._keys.clear()
                self._keys[key] = found
        return found


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key that signs within one credential scope."""
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def parse_signature(request: SignedRequest) -> UnverifiedSignature | None:
    """What the request says about its signature; None if it has none. Raises IncompleteSignature."""
    authorization = request.headers.get("HTTP_AUTHORIZATION")
    presigned = "X-Amz-Signature" in request.query_string or "X-Amz-Algorithm" in request.query_string
    if authorization is not None and presigned:
        raise IncompleteSignature("Only one of the Authorization header and the X-Amz-Signature parameter is allowed.")
    if presigned:
        return _parse_presigned(request)
    return None if authorization is None else _parse_header(request, authorization)


def verify_signature(
    request: SignedRequest,
    signature: UnverifiedSignature,
    secret: str,
    *,
    service: str,
    now: datetime,
    window_seconds: int,
    signing_keys: SigningKeyCache,
) -> None:
    """Return if the holder of ``secret`` signed exactly this request, now.

    Raises SignatureDoesNotMatch, IncompleteSignature and, for a presigned URL past its end, RequestExpired.
    """
    _check_scope(signature, service)  # 1
    _check_clock(signature, now, window_seconds)  # 2
    _check_signed_headers(request, signature)  # 3
    payload_hash = hashlib.sha256(request.body).hexdigest()
    _check_payload_hash(request, payload_hash)  # 4
    canonical = _canonical_request(request, signature, payload_hash)  # 5
    to_sign = (
        f"{ALGORITHM}\n{signature.timestamp}\n{signature.date}/{signature.region}/{service}/{TERMINATOR}\n"
        f"{hashlib.sha256(canonical).hexdigest()}"
    )
    expected = hmac.digest(signing_keys.get(secret, signature), to_sign.encode(), "sha256").hex()
    if not hmac.compare_digest(expected.encode(), signature.signature.encode()):  # 6
        raise SignatureDoesNotMatch(_MISMATCH)


def _parse_header(request: SignedRequest, authorization: str) -> UnverifiedSignature:
    found = _AUTHORIZATION.fullmatch(authorization.strip())
    if found is None:
        raise IncompleteSignature(_what_is_missing(authorization))
    credential, signed_headers, signature = found.groups()
    timestamp = request.headers.get("HTTP_X_AMZ_DATE")
    if timestamp is None:
        timestamp = _from_http_date(request.headers.get("HTTP_DATE"))
    return _unverified(
        credential, signed_headers, signature, timestamp, request.headers.get("HTTP_X_AMZ_SECURITY_TOKEN"), None
    )


def _what_is_missing(authorization: str) -> str:
    """AWS names every part that an Authorization header lacks."""
    scheme = authorization.split(" ", 1)[0]
    if scheme != ALGORITHM:
        return f"Unsupported authorization scheme; {ALGORITHM} is required."
    lacking = [
        f"Authorization header requires '{part}' parameter." for part in _PARTS if f"{part}=" not in authorization
    ]
    return " ".join(lacking) or "Authorization header is malformed."


def _parse_presigned(request: SignedRequest) -> UnverifiedSignature:
    given: dict[str, str] = {}
    for name, value in _query_pairs(request.query_string):
        if name.lower().startswith("x-amz-"):
            if name in given:
                raise IncompleteSignature(f"The parameter {_shown(name)} is given more than once.")
            given[name] = value
    names = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature")
    if lacking := [name for name in names if name not in given]:
        raise IncompleteSignature(f"AWS query-string parameters must include {', '.join(lacking)}.")
    if given["X-Amz-Algorithm"] != ALGORITHM:
        raise IncompleteSignature(f"Unsupported X-Amz-Algorithm; {ALGORITHM} is required.")
    expires = given.get("X-Amz-Expires", "")
    if not _EXPIRES.fullmatch(expires) or not 1 <= int(expires) <= MAX_PRESIGNED_SECONDS:
        raise IncompleteSignature(f"X-Amz-Expires must be between 1 and {MAX_PRESIGNED_SECONDS} seconds.")
    if "HTTP_X_AMZ_SECURITY_TOKEN" in request.headers:
        raise IncompleteSignature("A presigned request carries its security token in the URL.")
    return _unverified(
        given["X-Amz-Credential"],
        given["X-Amz-SignedHeaders"],
        given["X-Amz-Signature"],
        given["X-Amz-Date"],
        given.get("X-Amz-Security-Token"),
        int(expires),
    )


def _unverified(
    credential: str, signed_headers: str, signature: str, timestamp: str | None, token: str | None, expires: int | None
) -> UnverifiedSignature:
    parts = credential.split("/")
    if len(parts) != 5:
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term,"
            f" got '{_shown(credential)}'"
        )
    if not _ACCESS_KEY_ID.fullmatch(parts[0]):
        raise IncompleteSignature("The access key id of the Credential is malformed.")
    if timestamp is None:
        raise IncompleteSignature(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    if not _DATE.fullmatch(timestamp):
        raise IncompleteSignature(
            f"Date must be in ISO-8601 'basic format'. Got '{_shown(timestamp)}'."
            " See http://en.wikipedia.org/wiki/ISO_8601"
        )
    names = tuple(signed_headers.split(";"))
    if any(not _HEADER_NAME.fullmatch(name) for name in names) or list(names) != sorted(set(names)):
        raise IncompleteSignature("SignedHeaders must be lower-case header names, sorted, each once.")
    if not _SIGNATURE.fullmatch(signature):
        raise SignatureDoesNotMatch(_MISMATCH, detail="the signature is not 64 hexadecimal digits")
    key_id, date, region, service, terminator = parts
    return UnverifiedSignature(key_id, date, region, service, terminator, names, signature, timestamp, token, expires)


def _from_http_date(text: str | None) -> str | None:
    """A Date header's time in the form of X-Amz-Date."""
    if text is None or _DATE.fullmatch(text):
        return text
    try:
        return parsedate_to_datetime(text).astimezone(UTC).strftime(_ISO_BASIC)
    except (ValueError, OverflowError):
        return text


def _check_scope(signature: UnverifiedSignature, service: str) -> None:
    if signature.terminator != TERMINATOR:
        raise SignatureDoesNotMatch(
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}',"
            f" not '{_shown(signature.terminator)}'."
        )
    if signature.service != service:
        raise SignatureDoesNotMatch(f"Credential should be scoped to correct service: '{service}'.")
    if not signature.region:
        raise SignatureDoesNotMatch("Credential should be scoped to a valid region.")
    if signature.timestamp[:8] != signature.date:
        raise SignatureDoesNotMatch(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP:"
            f" '{_shown(signature.date)}' != '{signature.timestamp[:8]}', from '{signature.timestamp}'."
        )


def _check_clock(signature: UnverifiedSignature, now: datetime, window_seconds: int) -> None:
    try:
        signed_at = datetime.strptime(signature.timestamp, _ISO_BASIC).replace(tzinfo=UTC)
    except ValueError:
        raise IncompleteSignature("Date must be in ISO-8601 'basic format'.") from None
    window = timedelta(seconds=window_seconds)
    minutes = f"{window_seconds / 60:g} min."
    if signed_at - window > now:
        limit = now + window
        raise SignatureDoesNotMatch(
            f"Signature not yet current: {signature.timestamp} is still later than {limit:{_ISO_BASIC}}"
            f" ({now:{_ISO_BASIC}} + {minutes})"
        )
    if signature.expires is not None:
        if signed_at + timedelta(seconds=signature.expires) <= now:
            raise RequestExpired("Request has expired")
        return
    if signed_at + window < now:
        limit = now - window
        raise SignatureDoesNotMatch(
            f"Signature expired: {signature.timestamp} is now earlier than {limit:{_ISO_BASIC}}"
            f" ({now:{_ISO_BASIC}} - {minutes})"
        )


def _check_signed_headers(request: SignedRequest, signature: UnverifiedSignature) -> None:
    """Host and every x-amz-* header have to be signed; so has the date that counts.

    WSGI writes ``X-Amz-Date`` and ``X_Amz_Date`` alike: an unsigned look-alike is refused here too.
    """
    signed = signature.signed_headers
    if "host" not in signed:
        raise SignatureDoesNotMatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    for name in request.headers:
        if name.startswith("HTTP_X_AMZ_") and name[5:].lower().replace("_", "-") not in signed:
            raise SignatureDoesNotMatch("There were x-amz-* headers present in the request which were not signed.")
    if signature.expires is None and "HTTP_X_AMZ_DATE" not in request.headers and "date" not in signed:
        raise SignatureDoesNotMatch("The Date header must be signed.")


def _check_payload_hash(request: SignedRequest, payload_hash: str) -> None:
    """A stated hash must be the body's: no unsigned and no streamed payloads."""
    stated = request.headers.get("HTTP_X_AMZ_CONTENT_SHA256")
    if stated is not None and not hmac.compare_digest(stated.encode("utf-8", "replace"), payload_hash.encode()):
        raise SignatureDoesNotMatch("The provided 'x-amz-content-sha256' header does not match what was computed.")


def _canonical_request(request: SignedRequest, signature: UnverifiedSignature, payload_hash: str) -> bytes:
    lines = [request.method, _canonical_path(request.path), _canonical_query(request.query_string, signature)]
    for name in signature.signed_headers:
        value = _header(request.headers, name)
        if value is None:
            raise SignatureDoesNotMatch(_MISMATCH, detail=f"signed header {_shown(name)} is not in the request")
        lines.append(f"{name}:{value}")
    lines += ("", ";".join(signature.signed_headers), payload_hash)
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _header(headers: Mapping[str, str], name: str) -> str | None:
    key = name.upper().replace("-", "_")
    value = headers.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")
    if value is None:
        return None
    value = value.strip()
    return _SPACES.sub(" ", value) if "  " in value else value


def _canonical_path(path: str) -> str:
    """The path encoded twice, once by the wire's rule and once by the signature's; almost always just ``/``."""
    if path == "/":
        return path
    return quote(quote(path.encode("latin-1"), safe="/-_.~"), safe="/-_.~")


def _canonical_query(query_string: str, signature: UnverifiedSignature) -> str:
    if not query_string:
        return ""
    presigned = signature.expires is not None
    pairs = [
        (_encoded(name), _encoded(value))
        for name, value in _query_pairs(query_string)
        if not (presigned and name == "X-Amz-Signature")
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="-_.~")


def _query_pairs(query_string: str) -> list[tuple[str, str]]:
    """Names and values, decoded once, by the same rule by which the form is read: a plus sign is a space."""
    if _BAD_ESCAPE.search(query_string):
        raise IncompleteSignature("The query string has a malformed escape.")
    pairs = []
    for pair in query_string.encode("latin-1", "replace").replace(b"+", b" ").split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            pairs.append((_text(unquote_to_bytes(name)), _text(unquote_to_bytes(value))))
    return pairs


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _shown(text: str) -> str:
    """A bounded, printable part of what the caller sent."""
    return "".join(character if " " <= character <= "~" else "?" for character in text[:128])
