"""Finding events by one value and a range of time, through the index of the sealed record: the newest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection

from broker.audit.index import ALL, event_account, event_seconds, event_values, index_key
from broker.store.audit_events import records_of
from broker.store.audit_tree import SEGMENT_WIDTH, read_marks, read_segments, segments_between

MAX_TIME = 253_402_300_799
"""The last second of the year 9999."""

_MARKS_A_STEP = 64
_MAX_STEPS = 40
"""Segments are looked at in steps; after so many a page ends, though there may be more."""

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: events of an account that have ``value``, between two times (seconds, both included)."""

    account: str
    attribute: str = ALL
    value: str = ""
    start: int = 0
    end: int = MAX_TIME


@dataclass(frozen=True, slots=True)
class Found:
    """An event, where it is in the tree, and its text as recorded."""

    leaf: int
    event: dict[str, Any]
    record: str


@dataclass(frozen=True, slots=True)
class Page:
    """``before`` is the leaf before which the next page begins, None if there is nothing more."""

    events: tuple[Found, ...]
    before: int | None


def lookup(connection: Connection, search: Search, limit: int, before: int | None = None) -> Page:
    """At most ``limit`` events, those before the leaf ``before`` if it is given. A page may be shorter than the limit
    and not be the last."""
    key = index_key(search.account, search.attribute, search.value)
    first, last = segments_between(connection, search.start, search.end)
    ceiling = (last + 1) * SEGMENT_WIDTH if before is None else min(before, (last + 1) * SEGMENT_WIDTH)
    found: list[Found] = []
    for _ in range(_MAX_STEPS):
        marked = _marked(connection, key, first, ceiling)
        if not marked:
            return Page(tuple(found), None)
        for event in _matching(connection, search, marked, limit - len(found)):
            found.append(event)
            if len(found) == limit:
                more = event.leaf > first * SEGMENT_WIDTH
                return Page(tuple(found), event.leaf if more else None)
        ceiling = marked[-1]
    return Page(tuple(found), ceiling)


def search_all(connection: Connection, search: Search) -> Iterator[Found]:
    """All events, the newest first."""
    before: int | None = None
    while True:
        page = lookup(connection, search, SEGMENT_WIDTH, before)
        yield from page.events
        if page.before is None:
            return
        before = page.before


def _marked(connection: Connection, key: int, first: int, ceiling: int) -> list[int]:
    """The next leaves below ``ceiling`` that have the value, the highest first."""
    last = (ceiling - 1) // SEGMENT_WIDTH
    return [
        segment * SEGMENT_WIDTH + place
        for segment, bits in read_marks(connection, key, first, last, _MARKS_A_STEP)
        for place in range(SEGMENT_WIDTH - 1, -1, -1)
        if bits >> place & 1 and segment * SEGMENT_WIDTH + place < ceiling
    ]


def _matching(connection: Connection, search: Search, leaves: list[int], wanted: int) -> Iterator[Found]:
    """Those of ``leaves`` that are what is looked for: digests can be alike, and times are those of events."""
    step = max(8, wanted)
    for at in range(0, len(leaves), step):
        part = leaves[at : at + step]
        segments = read_segments(connection, {leaf // SEGMENT_WIDTH for leaf in part})
        places = {leaf: segments[leaf // SEGMENT_WIDTH].sequences[leaf % SEGMENT_WIDTH] for leaf in part}
        records = records_of(connection, list(places.values()))
        for leaf, sequence in places.items():
            record = records.get(sequence)
            if record is not None and _matches(search, event := _decode(record)):
                yield Found(leaf, event, record)


def _matches(search: Search, event: dict[str, Any]) -> bool:
    if event_account(event) != search.account or not search.start <= event_seconds(event) <= search.end:
        return False
    return search.attribute == ALL or (search.attribute, search.value) in event_values(event)
