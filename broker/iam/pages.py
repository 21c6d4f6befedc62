"""Lists in pages: ``Marker``, ``MaxItems``, ``IsTruncated`` (AWS IAM API Reference, "Query parameters").

A marker is the sort key of the last item that was shown, so that a page costs the same wherever it starts, and an item
that comes or goes in between neither repeats nor hides another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from broker.errors import ValidationFailed

DEFAULT_ITEMS = 100
_LONGEST_KEY_BYTES = 240
_DIGEST = "\x00"
"""Begins what stands for a longer key; no key begins so."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Page(Generic[_T]):
    """Some of a list. ``marker`` is where the next page begins; None on the last."""

    items: Sequence[_T]
    is_truncated: bool
    marker: str | None


def page_of(
    read: Callable[[str, int], Sequence[_T]],
    sort_key: Callable[[_T], str],
    marker: str | None,
    max_items: int | None,
) -> Page[_T]:
    """The page from behind ``marker``. ``read(after, limit)`` gives the items whose sort key is greater, in its order.

    Raises ValidationFailed for a marker that none of our pages had.
    """
    size = max_items or DEFAULT_ITEMS
    found = read("" if marker is None else _key_of(marker), size + 1)
    shown = found[:size]
    truncated = len(found) > size
    return Page(shown, truncated, _marker_of(sort_key(shown[-1])) if truncated else None)


def page_within(
    items: Sequence[_T], sort_key: Callable[[_T], str], marker: str | None, max_items: int | None
) -> Page[_T]:
    """As ``page_of``, of a short list that is in memory and sorted already; its keys may be too long for a marker."""

    def read(after: str, limit: int) -> Sequence[_T]:
        if after.startswith(_DIGEST):
            after = next((key for key in map(sort_key, items) if _short(key) == after), "")
            if not after:
                raise ValidationFailed("Invalid Marker.")
        return [item for item in items if sort_key(item) > after][:limit]

    return page_of(read, lambda item: _short(sort_key(item)), marker, max_items)


def _short(key: str) -> str:
    """What stands for the key in a marker, which the model limits to 320 characters."""
    raw = key.encode()
    return key if len(raw) <= _LONGEST_KEY_BYTES else _DIGEST + hashlib.sha256(raw).hexdigest()


def _marker_of(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode("ascii")


def _key_of(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise ValidationFailed("Invalid Marker.") from None
