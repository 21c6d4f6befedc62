"""The rows of the audit record's Merkle tree: tiles, segments, marks of the index, and signed heads."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from broker.store.tables import audit_heads, audit_marks, audit_segments, audit_tiles

SEGMENT_WIDTH = 256
_MARKS_BYTES = SEGMENT_WIDTH // 8
_MARKS_A_STATEMENT = 500


@dataclass(frozen=True, slots=True)
class Segment:
    """Which events the leaves of a tile are; times are seconds since the epoch."""

    number: int
    sequences: tuple[int, ...]
    first_time: int
    latest_time: int


@dataclass(frozen=True, slots=True)
class HeadRow:
    """A signed tree head as it was published."""

    size: int
    note: str
    created_at: int


def find_tile(connection: Connection, level: int, number: int) -> bytes | None:
    column = audit_tiles.c
    query = select(column.hashes).where(column.level == level, column.number == number)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else bytes(found)


def put_tiles(connection: Connection, tiles: Mapping[tuple[int, int], bytes]) -> None:
    """Write tiles, over those of the same place."""
    column = audit_tiles.c
    for (level, number), hashes in tiles.items():
        connection.execute(delete(audit_tiles).where(column.level == level, column.number == number))
        connection.execute(insert(audit_tiles).values(level=level, number=number, hashes=hashes))


def find_segment(connection: Connection, number: int) -> Segment | None:
    row = connection.execute(select(audit_segments).where(audit_segments.c.number == number)).one_or_none()
    return None if row is None else _segment(row)


def read_segments(connection: Connection, numbers: Iterable[int]) -> dict[int, Segment]:
    """The segments of these numbers, at most some hundred."""
    rows = connection.execute(select(audit_segments).where(audit_segments.c.number.in_(list(numbers))))
    return {row.number: _segment(row) for row in rows}


def last_segment(connection: Connection) -> Segment | None:
    row = connection.execute(select(audit_segments).order_by(audit_segments.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else _segment(row)


def put_segments(connection: Connection, segments: Iterable[Segment]) -> None:
    """Write segments, over those of the same number."""
    for one in segments:
        connection.execute(delete(audit_segments).where(audit_segments.c.number == one.number))
        packed = struct.pack(f">{len(one.sequences)}Q", *one.sequences)
        connection.execute(
            insert(audit_segments).values(
                number=one.number, sequences=packed, first_time=one.first_time, latest_time=one.latest_time
            )
        )


def segments_between(connection: Connection, start: int, end: int) -> tuple[int, int]:
    """The numbers of the first and the last segment that may have events of these times; the first is the larger one
    if there are none."""
    column = audit_segments.c
    first = select(column.number).where(column.latest_time >= start).order_by(column.latest_time, column.number)
    last = select(func.max(column.number)).where(column.first_time <= end)
    lowest = connection.execute(first.limit(1)).scalar_one_or_none()
    highest = connection.execute(last).scalar_one_or_none()
    return (1, 0) if lowest is None or highest is None else (int(lowest), int(highest))


def add_marks(connection: Connection, marks: Mapping[tuple[int, int], int]) -> None:
    """Set bits: of (key, segment), the leaves of it that have the value."""
    column = audit_marks.c
    by_segment: dict[int, dict[int, int]] = {}
    for (key, segment), bits in marks.items():
        by_segment.setdefault(segment, {})[key] = bits
    for segment, wanted in by_segment.items():
        keys = list(wanted)
        present: dict[int, int] = {}
        for at in range(0, len(keys), _MARKS_A_STATEMENT):
            query = select(column.key, column.marks).where(
                column.segment == segment, column.key.in_(keys[at : at + _MARKS_A_STATEMENT])
            )
            present |= {row.key: int.from_bytes(row.marks, "big") for row in connection.execute(query)}
        for key, before in present.items():
            together = (before | wanted.pop(key)).to_bytes(_MARKS_BYTES, "big")
            connection.execute(
                update(audit_marks).where(column.key == key, column.segment == segment).values(marks=together)
            )
        if wanted:
            connection.execute(
                insert(audit_marks),
                [
                    {"key": key, "segment": segment, "marks": bits.to_bytes(_MARKS_BYTES, "big")}
                    for key, bits in wanted.items()
                ],
            )


def read_marks(connection: Connection, key: int, first: int, last: int, limit: int) -> list[tuple[int, int]]:
    """Segment and bits of a value, in the segments from ``first`` to ``last``, the newest first."""
    column = audit_marks.c
    query = (
        select(column.segment, column.marks)
        .where(column.key == key, column.segment.between(first, last))
        .order_by(column.segment.desc())
        .limit(limit)
    )
    return [(row.segment, int.from_bytes(row.marks, "big")) for row in connection.execute(query)]


def delete_marks(connection: Connection, keys: Sequence[int], segment: int) -> None:
    for at in range(0, len(keys), _MARKS_A_STATEMENT):
        chosen = audit_marks.c.key.in_(keys[at : at + _MARKS_A_STATEMENT])
        connection.execute(delete(audit_marks).where(audit_marks.c.segment == segment, chosen))


def last_heads(connection: Connection, count: int) -> list[HeadRow]:
    """The newest heads, the newest first."""
    rows = connection.execute(select(audit_heads).order_by(audit_heads.c.size.desc()).limit(count))
    return [HeadRow(*row) for row in rows]


def all_heads(connection: Connection) -> list[HeadRow]:
    """Every head that was kept, the oldest first."""
    return [HeadRow(*row) for row in connection.execute(select(audit_heads).order_by(audit_heads.c.size))]


def insert_head(connection: Connection, row: HeadRow) -> None:
    connection.execute(insert(audit_heads).values(size=row.size, note=row.note, created_at=row.created_at))


def delete_head(connection: Connection, size: int) -> None:
    connection.execute(delete(audit_heads).where(audit_heads.c.size == size))


def _segment(row: Row[Any]) -> Segment:
    sequences = struct.unpack(f">{len(row.sequences) // 8}Q", row.sequences)
    return Segment(row.number, sequences, row.first_time, row.latest_time)
