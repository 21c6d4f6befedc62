"""Text to typed values, for the condition operators that compare more than text. All raise ValueError.

Nothing loses precision: numbers are decimals, dates exact seconds since 1970. Each reader is cached because the same
few texts are compared again and again; the length limit in front of the cache bounds what it can hold.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from datetime import date
from decimal import Decimal
from functools import lru_cache

MAX_LENGTH = 64
WIDTH = {4: 32, 6: 128}

_NUMBER = re.compile(r"[+-]?[0-9]{1,50}(?:\.[0-9]{1,50})?(?:[eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?(?:Z|([+-])([0-9]{2}):?([0-9]{2})))?"
)
_EPOCH = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")
_UNIX_DAY = date(1970, 1, 1).toordinal()


def boolean(text: str) -> bool:
    """``true`` or ``false`` in any case."""
    word = text.lower()
    if word not in ("true", "false"):
        raise ValueError("'true' or 'false' is expected")
    return word == "true"


def number(text: str) -> Decimal:
    """A decimal number, exactly."""
    if len(text) > MAX_LENGTH:
        raise ValueError("the number is too long")
    return _number(text)


@lru_cache(maxsize=4096)
def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError("a number is expected")
    return Decimal(text)


def moment(text: str) -> Decimal:
    """Seconds since 1970 of a date, a date and time with zone (W3C profile of ISO 8601), or an epoch number."""
    if len(text) > MAX_LENGTH:
        raise ValueError("the date is too long")
    return _moment(text)


@lru_cache(maxsize=4096)
def _moment(text: str) -> Decimal:
    if _EPOCH.fullmatch(text):
        return Decimal(text)
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("a date of the form 2006-01-02T15:04:05Z is expected")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("the time of day does not exist")
    try:
        days = date(year, month, day).toordinal() - _UNIX_DAY
    except ValueError as error:
        raise ValueError("the date does not exist") from error
    zone_hours, zone_minutes = int(match[9] or 0), int(match[10] or 0)
    if zone_hours > 23 or zone_minutes > 59:
        raise ValueError("the time zone does not exist")
    zone = zone_hours * 3600 + zone_minutes * 60
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - (-zone if match[8] == "-" else zone)
    return seconds + Decimal(match[7] or 0)


def binary(text: str) -> bytes:
    """The bytes of a base64 text (RFC 4648 section 4, padded)."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise ValueError("base64 is expected") from error


def network(text: str) -> tuple[int, int, int]:
    """IP version, network number (the bits of the prefix alone) and prefix length; a bare address is its own network.

    An IPv4-mapped IPv6 address or network is the IPv4 one: the same peer has one identity.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError("the IP address is too long")
    return _network(text)


@lru_cache(maxsize=4096)
def _network(text: str) -> tuple[int, int, int]:
    if "%" in text:
        raise ValueError("an IP address or CIDR block without zone is expected")
    address, slash, prefix = text.partition("/")
    if slash and not (prefix.isascii() and prefix.isdigit() and len(prefix) <= 3):
        raise ValueError("the prefix length is not valid")
    try:
        ip = ipaddress.ip_address(address)
    except ValueError as error:
        raise ValueError("an IP address or CIDR block is expected") from error
    width = ip.max_prefixlen
    length = int(prefix) if slash else width
    if length > width:
        raise ValueError("the prefix length is not valid")
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    if mapped is not None and length >= 96:
        return 4, int(mapped) >> (128 - length), length - 96
    return ip.version, int(ip) >> (width - length), length


def fold(text: str) -> str:
    """Lower case for the ``…IgnoreCase`` operators; the Kelvin sign, no ASCII letter, does not become ``k``."""
    if "\u212a" in text:
        return "\u212a".join(part.lower() for part in text.split("\u212a"))
    return text.lower()


def arn_parts(text: str) -> list[str] | None:
    """The six colon parts of an ARN; the sixth keeps its colons."""
    parts = text.split(":", 5)
    return parts if len(parts) == 6 and parts[0] == "arn" else None
