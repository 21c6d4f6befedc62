"""Reading a JSON Web Token strictly, before anything of it is believed (RFC 7515, RFC 7519, RFC 8725).

1. size; 2. three canonical base64url parts; 3. header: a JSON object without doubled members, of a plain JWT;
4. algorithm from the list of asymmetric ones; 5. payload: a JSON object without doubled members or odd numbers.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn

from providers.base import IdToken
from providers.errors import MalformedEvidence

MAX_TOKEN_CHARACTERS = 16 * 1024
MAX_HEADER_CHARACTERS = 8 * 1024
MAX_DEPTH = 16
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_MAX_KEY_ID = 512
_ISSUER = re.compile(r"[!-~]{1,255}")
_MESSAGE = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"


def parse_id_token(text: str) -> IdToken:
    """Cut ``text`` into its parts. Raises MalformedEvidence."""
    text = text.strip(" \t\r\n")  # web identity files end in a newline
    if len(text) > MAX_TOKEN_CHARACTERS:  # 1
        raise malformed("the token is too long")
    parts = text.split(".", 3)
    if len(parts) != 3:
        raise malformed("the token does not have three parts")
    header_text, payload_text, signature_text = parts
    if len(header_text) > MAX_HEADER_CHARACTERS:
        raise malformed("the header is too long")
    algorithm, key_id = _read_header(header_text)  # 2, 3, 4
    claims = read_object(_decode(payload_text), "payload")  # 5
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise malformed("iss is missing or no text")
    if not _ISSUER.fullmatch(issuer):
        raise malformed("iss is too long, or no URL")
    return IdToken(
        algorithm, key_id, issuer, claims, f"{header_text}.{payload_text}".encode("ascii"), _decode(signature_text)
    )


def malformed(detail: str) -> MalformedEvidence:
    return MalformedEvidence(_MESSAGE, detail=detail)


def read_object(raw: bytes, what: str) -> dict[str, Any]:
    """A JSON object: UTF-8, no doubled members, no NaN or Infinity, bounded depth. Raises MalformedEvidence."""
    try:
        text = raw.decode("utf-8")
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise malformed(f"{what}: {type(error).__name__}: {error}") from None
    if not isinstance(value, dict):
        raise malformed(f"{what} is not an object")
    if text.count("{") + text.count("[") > MAX_DEPTH and _deep(value, MAX_DEPTH):
        raise malformed(f"{what} is nested too deeply")
    return value


@lru_cache(maxsize=256)
def _read_header(text: str) -> tuple[str, str | None]:
    """Algorithm and key id; the tokens of one key of an issuer have the same header."""
    return _check_header(read_object(_decode(text), "header"))


def _check_header(header: dict[str, Any]) -> tuple[str, str | None]:
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise malformed("typ is not JWT")
    if "crit" in header or "b64" in header:
        raise malformed("header extensions (crit, b64) are not supported")
    if "cty" in header:
        raise malformed("a nested token (cty) is not supported")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise malformed("alg is missing or not among the supported algorithms")
    key_id = header.get("kid")
    if key_id is not None and (not isinstance(key_id, str) or len(key_id) > _MAX_KEY_ID):
        raise malformed("kid is no text, or too long")
    return algorithm, key_id


def _decode(text: str) -> bytes:
    """Base64url without padding, in its one canonical form."""
    if not _BASE64URL.fullmatch(text):
        raise malformed("a part is not base64url")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise malformed("a part is not base64url") from None
    if len(text) % 4 and base64.urlsafe_b64encode(raw).rstrip(b"=") != text.encode("ascii"):
        raise malformed("a part is not canonical base64url")
    return raw


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _deep(value: Any, room: int) -> bool:
    children: Callable[[], Any] | None = (
        value.values if isinstance(value, dict) else value.__iter__ if isinstance(value, list) else None
    )
    if children is None:
        return False
    return room == 0 or any(_deep(child, room - 1) for child in children())


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_refuse_constant)
