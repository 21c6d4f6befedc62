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
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

from broker.aws.canonical import MISMATCH, canonical_query, canonical_request, query_pairs
from broker.aws.errors import IncompleteSignature, RequestExpired, SignatureDoesNotMatch
from broker.aws.signing_keys import TERMINATOR, SigningKeyCache, signing_key
from broker.credentials.mac import hmac_sha256

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_PRESIGNED_SECONDS = 604_800

_ISO_BASIC = "%Y%m%dT%H%M%SZ"
_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_HEADER_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+(;[!#$%&'*+.^_`|~0-9a-z-]+)*")
_ACCESS_KEY_ID = re.compile(r"\w{16,128}", re.ASCII)
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}")
_PRESIGNED = re.compile(r"(?:^|&)X-Amz-(?:Algorithm|Signature)(?:=|&|$)")
_EXPIRES = re.compile(r"[0-9]{1,7}")
_PARTS = ("Credential", "Signature", "SignedHeaders")
_DATE_MISSING = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
_QUERY_PARTS = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")


class SignedRequest(msgspec.Struct, frozen=True):
    """A request as it came over the wire. ``headers`` is the WSGI environment; ``path`` its decoded PATH_INFO."""

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes


class UnverifiedSignature(msgspec.Struct, frozen=True):
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


def parse_signature(request: SignedRequest) -> UnverifiedSignature | None:
    """What the request says about its signature; None if it has none. Raises IncompleteSignature."""
    authorization = request.headers.get("HTTP_AUTHORIZATION")
    presigned = _PRESIGNED.search(request.query_string) is not None
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
    query = canonical_query(request.query_string, without_signature=signature.expires is not None)
    canonical = canonical_request(  # 5
        request.method, request.path, query, request.headers, signature.signed_headers, payload_hash
    )
    to_sign = (
        f"{ALGORITHM}\n{signature.timestamp}\n{signature.date}/{signature.region}/{service}/{TERMINATOR}\n"
        f"{hashlib.sha256(canonical).hexdigest()}"
    )
    names = (signature.access_key_id, secret, signature.date, signature.region, service)
    known = signing_keys.find(*names)
    key = known or signing_key(*names[1:])
    expected = hmac_sha256(key, to_sign.encode()).hex()
    if not hmac.compare_digest(expected.encode(), signature.signature.encode()):  # 6
        raise SignatureDoesNotMatch(MISMATCH)
    if known is None:
        signing_keys.keep(key, *names)


def _parse_header(request: SignedRequest, authorization: str) -> UnverifiedSignature:
    given = _authorization_parts(authorization)
    timestamp = request.headers.get("HTTP_X_AMZ_DATE")
    if timestamp is None:
        timestamp = _from_http_date(request.headers.get("HTTP_DATE"))
    lacking = [f"Authorization header requires '{part}' parameter." for part in _PARTS if not given.get(part)]
    if timestamp is None:
        lacking.append(_DATE_MISSING)
    if lacking or timestamp is None:
        raise IncompleteSignature(" ".join(lacking))
    if len(given) != len(_PARTS):
        raise IncompleteSignature("Authorization header has a parameter that is not of AWS4-HMAC-SHA256.")
    return _unverified(
        given["Credential"],
        given["SignedHeaders"],
        given["Signature"],
        timestamp,
        request.headers.get("HTTP_X_AMZ_SECURITY_TOKEN"),
        None,
    )


def _authorization_parts(authorization: str) -> dict[str, str]:
    """The named parts, in any order; none of another scheme. Nothing of them is echoed: they may hold a secret.

    Two headers arrive as one, joined by a comma: that makes a name that is none of ours.
    """
    scheme, _, rest = authorization.strip(" \t").partition(" ")
    given: dict[str, str] = {}
    if scheme != ALGORITHM:
        if scheme.startswith("AWS4-"):
            raise IncompleteSignature(f"Unsupported signing algorithm; {ALGORITHM} is required.")
        return given
    for part in rest.split(",") if rest else ():
        name, equals, value = part.strip(" ").partition("=")
        if not equals:
            raise IncompleteSignature("Not a valid key=value pair (missing equal-sign) in Authorization header.")
        if name in given:
            raise IncompleteSignature("Authorization header has a parameter more than once.")
        given[name] = value
    return given


def _parse_presigned(request: SignedRequest) -> UnverifiedSignature:
    given: dict[str, str] = {}
    for raw_name, value in query_pairs(request.query_string):
        if raw_name.startswith(b"X-Amz-"):
            name = raw_name.decode("latin-1")
            if name in given:
                raise IncompleteSignature(f"The parameter {_shown(name)} is given more than once.")
            given[name] = value.decode("latin-1")
    if lacking := [name for name in _QUERY_PARTS if not given.get(name)]:
        sentences = (f"AWS query-string parameters must include '{name}'." for name in lacking)
        raise IncompleteSignature(f"{' '.join(sentences)} Re-examine the query-string parameters.")
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
    credential: str, signed_headers: str, signature: str, timestamp: str, token: str | None, expires: int | None
) -> UnverifiedSignature:
    parts = credential.split("/")
    if len(parts) != 5:
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term,"
            f" got '{_shown(credential)}'"
        )
    if not _ACCESS_KEY_ID.fullmatch(parts[0]):
        raise IncompleteSignature("The access key id of the Credential is malformed.")
    if not _DATE.fullmatch(timestamp):
        raise IncompleteSignature(
            f"Date must be in ISO-8601 'basic format'. Got '{_shown(timestamp)}'."
            " See http://en.wikipedia.org/wiki/ISO_8601"
        )
    names = signed_headers.split(";")
    if not _HEADER_NAMES.fullmatch(signed_headers) or names != sorted(set(names)):
        raise IncompleteSignature("SignedHeaders must be lower-case header names, sorted, each once.")
    if not _SIGNATURE.fullmatch(signature):
        raise SignatureDoesNotMatch(MISMATCH, detail="the signature is not 64 hexadecimal digits")
    key_id, date, region, service, terminator = parts
    return UnverifiedSignature(
        key_id, date, region, service, terminator, tuple(names), signature, timestamp, token, expires
    )


def _from_http_date(text: str | None) -> str | None:
    """A Date header's time in the form of X-Amz-Date."""
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment  # botocore writes "-0000", read as naive UTC
        return f"{moment:{_ISO_BASIC}}"
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
    if not _REGION.fullmatch(signature.region):
        raise SignatureDoesNotMatch("Credential should be scoped to a valid region.")
    if signature.timestamp[:8] != signature.date:
        raise SignatureDoesNotMatch(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP:"
            f" '{_shown(signature.date)}' != '{signature.timestamp[:8]}', from '{signature.timestamp}'."
        )


def _check_clock(signature: UnverifiedSignature, now: datetime, window_seconds: int) -> None:
    try:
        signed_at = datetime.fromisoformat(signature.timestamp)
    except ValueError:
        raise IncompleteSignature("Date must be in ISO-8601 'basic format'.") from None
    window = timedelta(seconds=window_seconds)
    age = now - signed_at
    if age < -window:
        raise SignatureDoesNotMatch(
            f"Signature not yet current: {signature.timestamp} is still later than {now + window:{_ISO_BASIC}}"
            f" ({now:{_ISO_BASIC}} + {window_seconds / 60:g} min.)"
        )
    if signature.expires is not None:
        if age >= timedelta(seconds=signature.expires):
            raise RequestExpired("Request has expired")
    elif age > window:
        raise SignatureDoesNotMatch(
            f"Signature expired: {signature.timestamp} is now earlier than {now - window:{_ISO_BASIC}}"
            f" ({now:{_ISO_BASIC}} - {window_seconds / 60:g} min.)"
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


def _shown(text: str) -> str:
    """A bounded, printable part of what the caller sent."""
    return "".join(character if " " <= character <= "~" else "?" for character in text[:128])
