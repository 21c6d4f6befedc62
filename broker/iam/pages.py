"""Lists in pages: ``Marker``, ``MaxItems``, ``IsTruncated`` (AWS IAM API Reference, "Query parameters").

A marker is the sort key of the last item that was shown, so that a page costs the same wherever it starts, and an item
that comes or goes in between neither repeats nor hides another.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from broker.errors import ValidationFailed

DEFAULT_ITEMS = 100
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
    """As ``page_of``, of a short list that is in memory and sorted already."""

    def read(after: str, limit: int) -> Sequence[_T]:
        return [item for item in items if sort_key(item) > after][:limit]

    return page_of(read, sort_key, marker, max_items)


def _marker_of(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode("ascii")


def _key_of(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise ValidationFailed("Invalid Marker.") from None
