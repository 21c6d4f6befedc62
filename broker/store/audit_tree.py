"""The rows of the audit record's Merkle tree: tiles, segments, marks of the index, and signed heads."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from broker.store.tables import audit_heads, audit_marks, audit_prunings, audit_segments, audit_tiles

SEGMENT_WIDTH = 256
_MARKS_BYTES = SEGMENT_WIDTH // 8
_MARKS_A_STATEMENT = 500
_EPOCH_SEGMENTS = 128
_MOST_EPOCHS = 16


@dataclass(frozen=True, slots=True)
class Segment:
    """Which events the leaves of a tile are; times are seconds since the epoch."""

    number: int
    sequences: Sequence[int]
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


def read_leaf_tiles(connection: Connection) -> Iterator[bytes]:
    """The tiles of the leaves, in their order."""
    number = 0
    while (found := find_tile(connection, 0, number)) is not None:
        yield found
        number += 1


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
        first, count = one.sequences[0], len(one.sequences)
        gaps = one.sequences[-1] - first + 1 != count
        connection.execute(delete(audit_segments).where(audit_segments.c.number == one.number))
        connection.execute(
            insert(audit_segments).values(
                number=one.number,
                first_sequence=first,
                count=count,
                sequences=struct.pack(f">{count}Q", *one.sequences) if gaps else None,
                first_time=one.first_time,
                latest_time=one.latest_time,
            )
        )


def segments_between(connection: Connection, start: int, end: int) -> tuple[int, int]:
    """The numbers of the first and the last segment that may have events of these times; the first is the larger one
    if there are none."""
    column = audit_segments.c
    first = select(column.number).where(column.latest_time >= start).order_by(column.latest_time, column.number)
    # "+ 0", or SQLite would look for the largest number row by row instead of in the index of the times
    last = select(func.max(column.number + 0)).where(column.first_time <= end)
    lowest = connection.execute(first.limit(1)).scalar_one_or_none()
    highest = connection.execute(last).scalar_one_or_none()
    return (1, 0) if lowest is None or highest is None else (int(lowest), int(highest))


def add_marks(connection: Connection, marks: Mapping[tuple[int, int], int], *, partial: int | None) -> None:
    """Set bits: of (key, segment), the leaves of it that have the value. ``partial`` is the segment, if any, that may
    have marks already."""
    rows = dict(marks)
    if partial is not None:
        wanted = {key: bits for (key, segment), bits in marks.items() if segment == partial}
        present = _present_marks(connection, list(wanted), partial)
        rows |= {(key, partial): wanted[key] | bits for key, bits in present.items()}
        delete_marks(connection, list(present), partial)
    _insert_marks(connection, rows)


def _present_marks(connection: Connection, keys: Sequence[int], segment: int) -> dict[int, int]:
    column = audit_marks.c
    found: dict[int, int] = {}
    for at in range(0, len(keys), _MARKS_A_STATEMENT):
        query = select(column.key, column.marks).where(
            column.epoch == _epoch(segment),
            column.key.in_(keys[at : at + _MARKS_A_STATEMENT]),
            column.segment == segment,
        )
        found |= {row.key: _bits(row.marks) for row in connection.execute(query)}
    return found


def _insert_marks(connection: Connection, marks: Mapping[tuple[int, int], int]) -> None:
    """Written out for the driver, and in the order of the table: there are some hundred rows a segment."""
    rows = sorted((_epoch(segment), key, segment, _packed(bits)) for (key, segment), bits in marks.items())
    values = "?, ?, ?, ?" if connection.dialect.paramstyle == "qmark" else "%s, %s, %s, %s"
    if rows:
        statement = f"INSERT INTO audit_marks (epoch, key, segment, marks) VALUES ({values})"  # noqa: S608  # placeholders
        connection.exec_driver_sql(statement, rows)


def read_marks(connection: Connection, key: int, first: int, last: int, limit: int) -> list[tuple[int, int]]:
    """Segment and bits of a value, in the segments from ``first`` to ``last``, the newest first.

    What is frequent is found in the newest epoch; for the others several are asked at once.
    """
    found: list[tuple[int, int]] = []
    epoch, step = _epoch(last), 1
    while epoch >= _epoch(first) and len(found) < limit:
        lowest = max(_epoch(first), epoch - step + 1)
        found += _marks_in(connection, key, range(lowest, epoch + 1), (first, last), limit - len(found))
        epoch, step = lowest - 1, min(4 * step, _MOST_EPOCHS)
    return found


def _marks_in(
    connection: Connection, key: int, epochs: range, between: tuple[int, int], limit: int
) -> list[tuple[int, int]]:
    column = audit_marks.c
    query = (
        select(column.segment, column.marks)
        .where(column.epoch.in_(epochs), column.key == key, column.segment.between(*between))
        .order_by(column.epoch.desc(), column.segment.desc())
        .limit(limit)
    )
    return [(row.segment, _bits(row.marks)) for row in connection.execute(query)]


def delete_marks(connection: Connection, keys: Sequence[int], segment: int) -> None:
    column = audit_marks.c
    for at in range(0, len(keys), _MARKS_A_STATEMENT):
        chosen = column.key.in_(keys[at : at + _MARKS_A_STATEMENT])
        connection.execute(
            delete(audit_marks).where(column.epoch == _epoch(segment), chosen, column.segment == segment)
        )


def _epoch(segment: int) -> int:
    return segment // _EPOCH_SEGMENTS


def _packed(bits: int) -> bytes:
    """A byte for each leaf while they are few, else a bit for each."""
    if bits.bit_count() >= _MARKS_BYTES:
        return bits.to_bytes(_MARKS_BYTES, "big")
    places = []
    while bits:
        places.append(bits.bit_length() - 1)
        bits ^= 1 << places[-1]
    return bytes(places)


def _bits(packed: bytes) -> int:
    if len(packed) == _MARKS_BYTES:
        return int.from_bytes(packed, "big")
    return sum(1 << place for place in packed)


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


def insert_pruning(connection: Connection, leaf: int, note: str) -> None:
    connection.execute(insert(audit_prunings).values(leaf=leaf, note=note))


def last_pruning(connection: Connection) -> tuple[int, str] | None:
    """Up to which leaf events were deleted, and the signed statement."""
    query = select(audit_prunings.c.leaf, audit_prunings.c.note).order_by(audit_prunings.c.leaf.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else (row.leaf, row.note)


def segments_before(connection: Connection, moment: int) -> int:
    """How many segments from the first on have no event of ``moment`` (seconds since the epoch) or later."""
    column = audit_segments.c
    query = select(column.number).where(column.latest_time >= moment).order_by(column.latest_time, column.number)
    found = connection.execute(query.limit(1)).scalar_one_or_none()
    last = last_segment(connection)
    return found if found is not None else (last.number + 1 if last is not None else 0)


def _segment(row: Row[Any]) -> Segment:
    sequences: Sequence[int] = range(row.first_sequence, row.first_sequence + row.count)
    if row.sequences is not None:
        sequences = struct.unpack(f">{row.count}Q", row.sequences)
    return Segment(row.number, sequences, row.first_time, row.latest_time)
