"""An event as the bytes that its leaf is made of: RFC 8785 (JSON Canonicalization Scheme).

Order of members and white space do not matter to it, so the record can be stored, exported and imported as any JSON.
Almost every event takes the fast way; both ways give the same bytes.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import rfc8785

_MAX_EXACT = 2**53 - 1
"""RFC 8785, section 3.2.2.3: a larger integer is none of JSON's numbers there. It counts as its decimal string."""

_UNUSUAL = re.compile(r"[0-9]{16}|[\U00010000-\U0010ffff]|\\u[dD][89abAB]")
"""Perhaps a large integer, or a name that UTF-16 sorts otherwise than Unicode does."""


_NO_JSON = (ValueError, RecursionError)


class _Fraction(Exception):
    """A number that is no integer."""


def _fraction(text: str) -> float:
    raise _Fraction(text)


_decode = msgspec.json.Decoder(float_hook=_fraction).decode
_encode = msgspec.json.Encoder(order="sorted").encode
_encode_as_it_is = msgspec.json.Encoder().encode


def canonical(record: str) -> bytes:
    """The canonical form of a JSON text; what is no JSON, as nobody but an intruder writes it, counts as it is."""
    try:
        if not _UNUSUAL.search(record):
            return _encode(_decode(record))
    except _Fraction:
        pass
    except _NO_JSON:
        return record.encode("utf-8", "surrogatepass")
    try:
        return rfc8785.dumps(_exact(json.loads(record)))
    except _NO_JSON:
        return record.encode("utf-8", "surrogatepass")


def is_plain(record: str) -> bool:
    """Whether it is JSON in which no two members of an object have one name: of such two, readers see either."""
    try:
        if _encode_as_it_is(_decode(record)) == record.encode():
            return True
    except (_Fraction, *_NO_JSON):
        pass
    try:
        json.loads(record, object_pairs_hook=_members)
    except (_Doubled, *_NO_JSON):
        return False
    return True


class _Doubled(Exception):
    """A name comes twice."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Doubled
    return members


def _exact(value: Any) -> Any:
    if isinstance(value, int) and abs(value) > _MAX_EXACT:
        return str(value)
    if isinstance(value, dict):
        return {name: _exact(item) for name, item in value.items()}
    return [_exact(item) for item in value] if isinstance(value, list) else value
