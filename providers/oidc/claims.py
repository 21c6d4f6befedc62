"""What the claims of a verified token must say, and how they become attributes (OpenID Connect Core 3.1.3.7, RFC 7519).

1. ``iss``; 2. no token of another use; 3. ``aud`` and ``azp``; 4. times; 5. ``sub``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from providers.errors import AudienceMismatch, ClaimRejected, Expired, MalformedEvidence

MAX_ATTRIBUTES = 1_000
MAX_VALUES = 2_000
MAX_NAME = 512
"""Characters of an attribute's whole dotted name."""
_SUBJECT = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_INFINITY = float("inf")
_LATEST = 253_402_300_799
"""The last second of the year 9999."""


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What a registration demands. Times are in seconds."""

    issuer: str
    client_ids: tuple[str, ...]
    leeway: int = 60
    max_lifetime: int = 86_400
    allow_several_audiences: bool = False


class CheckedClaims(msgspec.Struct, frozen=True):
    """``audience`` begins with the accepted client id. Times are seconds since the epoch."""

    subject: str
    audience: tuple[str, ...]
    issued_at: float
    expires_at: float


def check_claims(claims: Mapping[str, Any], rules: ClaimRules, now: float) -> CheckedClaims:
    """Raises ClaimRejected, AudienceMismatch, Expired or MalformedEvidence."""
    if claims.get("iss") != rules.issuer:  # 1
        raise MalformedEvidence(
            "Issuer does not match the identity provider", detail="iss is not the registered issuer"
        )
    if "cnf" in claims:  # 2
        raise ClaimRejected("The token is bound to a key", detail="cnf: a bound token is no bearer token (RFC 7800)")
    if "events" in claims:
        raise ClaimRejected("The token is no ID token", detail="events: a security event or logout token (RFC 8417)")
    audience = _check_audience(claims, rules)  # 3
    issued_at, expires_at = _check_times(claims, rules, now)  # 4
    subject = claims.get("sub")  # 5
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject) or not subject.strip():
        raise MalformedEvidence(
            "The token has no valid subject", detail="sub is missing, empty, too long or no plain text"
        )
    return CheckedClaims(subject, audience, issued_at, expires_at)


def _check_audience(claims: Mapping[str, Any], rules: ClaimRules) -> tuple[str, ...]:
    given = claims.get("aud")
    audience = [given] if isinstance(given, str) else given
    if not isinstance(audience, list) or not audience or not all(isinstance(one, str) for one in audience):
        raise AudienceMismatch(
            "Incorrect token audience", detail="aud is missing or neither a text nor a list of texts"
        )
    registered = [one for one in audience if one in rules.client_ids]
    if not registered:
        raise AudienceMismatch("Incorrect token audience", detail=f"aud is {_shown(audience)}")
    party = claims.get("azp")
    if party is not None:
        if not isinstance(party, str) or party not in rules.client_ids:
            raise ClaimRejected("The authorized party is not accepted", detail=f"azp is {_shown(party)}")
    elif len(audience) > 1 and not (rules.allow_several_audiences and len(set(registered)) == 1):
        raise AudienceMismatch("Incorrect token audience", detail="several audiences without azp")
    return (registered[0], *(one for one in audience if one != registered[0]))


def _check_times(claims: Mapping[str, Any], rules: ClaimRules, now: float) -> tuple[float, float]:
    expires_at = _time(claims, "exp")
    issued_at = _time(claims, "iat")
    if expires_at <= now - rules.leeway:
        raise Expired("Token expired: current date/time must be before the expiration date/time", detail="exp is past")
    if "nbf" in claims and _time(claims, "nbf") > now + rules.leeway:
        raise MalformedEvidence("The token is not yet valid", detail="nbf is in the future")
    if issued_at > now + rules.leeway:
        raise MalformedEvidence("The token is not yet valid", detail="iat is in the future")
    if issued_at < now - rules.max_lifetime:
        raise Expired("Token too old", detail="iat is longer ago than the longest lifetime")
    if expires_at <= issued_at:
        raise MalformedEvidence("The token ends before it begins", detail="exp is not after iat")
    if (
        expires_at - issued_at > rules.max_lifetime + rules.leeway
        or expires_at > now + rules.max_lifetime + rules.leeway
    ):
        raise MalformedEvidence("The token lives too long", detail="exp is further ahead than the longest lifetime")
    return issued_at, expires_at


def _time(claims: Mapping[str, Any], name: str) -> float:
    """A NumericDate: a finite number, never a truth value (RFC 7519, section 2)."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LATEST:
        raise MalformedEvidence("The token has no valid times", detail=f"{name} is missing or no time")
    return value


def flatten(claims: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Every claim as texts: nested objects under dotted names, lists as several values, JSON's spelling for the rest.

    A claim's own name stays as it is, with its dots and colons (``https://aws.amazon.com/source_identity``). Nulls are
    left out, and so are objects and lists inside lists, which have no name. Raises MalformedEvidence if two claims come
    to the same name (``a.b`` and ``b`` in ``a``), if there are too many or a name is too long, for a number that no
    double can hold (``1e400``) and for a text that is no Unicode (a lone surrogate, RFC 8259, section 8.2).
    """
    attributes: dict[str, tuple[str, ...]] = {}
    _flatten("", claims, attributes)
    if len(attributes) > MAX_ATTRIBUTES or sum(map(len, attributes.values())) > MAX_VALUES:
        raise MalformedEvidence("The token has too many claims", detail="more claims than are evaluated")
    return attributes


def _flatten(prefix: str, claims: Mapping[str, Any], attributes: dict[str, tuple[str, ...]]) -> None:
    for name, value in claims.items():
        path = prefix + _text(name)
        if len(path) > MAX_NAME:
            raise MalformedEvidence("The token has too many claims", detail=f"a name is longer than {MAX_NAME}")
        if isinstance(value, dict):
            _flatten(f"{path}.", value, attributes)
            continue
        items = value if isinstance(value, list) else [value]
        texts = tuple(_text(item) for item in items if item is not None and not isinstance(item, (dict, list)))
        if value is None:
            continue
        if path in attributes:
            raise MalformedEvidence("The token's claims are ambiguous", detail=f"two claims are named {path[:128]}")
        attributes[path] = texts


def _text(value: Any) -> str:
    if isinstance(value, str):
        if not value.isascii() and _SURROGATE.search(value):
            raise MalformedEvidence("The token's claims are no text", detail="a lone surrogate")
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and abs(value) == _INFINITY:
        raise MalformedEvidence("The token's claims are no numbers", detail="a number is out of range")
    return str(value)


def to_datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _shown(value: object) -> str:
    return repr(value)[:256]
