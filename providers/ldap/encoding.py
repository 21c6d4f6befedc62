"""A search request in BER (RFC 4511, 4.5.1).

ldap3's own encoder goes by general rules, value by value, which is most of what a login costs; here what does not
change from login to login is encoded once. Filters are ldap3's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ldap3.operation.search import compile_filter, parse_filter
from ldap3.utils.asn1 import encode

_SEQUENCE, _SEARCH, _CONTROLS = 0x30, 0x63, 0xA0
_INTEGER, _OCTETS, _ENUMERATED = 0x02, 0x04, 0x0A
_NO_TIME_LIMIT = b"\x02\x01\x00"
_NEVER_DEREFERENCE = b"\x0a\x01\x00"
_WITH_VALUES = b"\x01\x01\x00"
_PAGED_RESULTS = b"1.2.840.113556.1.4.319"


def search_message(
    number: int,
    base: str,
    scope: int,
    query: str,
    attributes: Sequence[str],
    *,
    size_limit: int = 0,
    page: tuple[int, bytes] | None = None,
) -> bytes:
    """The whole message. ``scope``: 0 is the base alone, 2 the subtree; ``page``: size and cookie (RFC 2696).

    Raises LDAPInvalidFilterError, a ValueError of ldap3's for texts that it cannot encode.
    """
    operation = _tagged(
        _SEARCH,
        _tagged(_OCTETS, base.encode()),
        _integer(scope, _ENUMERATED),
        _NEVER_DEREFERENCE,
        _integer(size_limit),
        _NO_TIME_LIMIT,
        _WITH_VALUES,
        _filter(query),
        _attributes(tuple(attributes)),
    )
    return _tagged(_SEQUENCE, _integer(number), operation, b"" if page is None else _paging(*page))


def _filter(query: str) -> bytes:
    tree = parse_filter(query, None, False, False, None, False)
    found: bytes = encode(compile_filter(tree.elements[0]))
    return found


@lru_cache(maxsize=256)
def _attributes(names: tuple[str, ...]) -> bytes:
    return _tagged(_SEQUENCE, *(_tagged(_OCTETS, name.encode()) for name in names))


def _paging(size: int, cookie: bytes) -> bytes:
    value = _tagged(_SEQUENCE, _integer(size), _tagged(_OCTETS, cookie))
    control = _tagged(_SEQUENCE, _tagged(_OCTETS, _PAGED_RESULTS), _tagged(_OCTETS, value))
    return _tagged(_CONTROLS, control)


def _integer(value: int, tag: int = _INTEGER) -> bytes:
    """Of what is not negative."""
    return _tagged(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _tagged(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + body
