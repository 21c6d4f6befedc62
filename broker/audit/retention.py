"""Events that are too old go; what proves them stays.

Whole segments are deleted, from the first on. The tree keeps their hashes, so that an event that was exported before
can still be proven, and the whole record still be verified. That they were deleted on purpose is signed: without the
key nobody can pass off a deletion for this.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from sqlalchemy import Connection

from broker.audit.event import CallRecord, render
from broker.audit.index import index_keys
from broker.audit.notes import Verifier, render_note, render_pruning
from broker.credentials.audit_ring import HEADS, AuditRing
from broker.identifiers import new_uuid
from broker.store.audit_events import append_records, delete_events, records_of
from broker.store.audit_tree import (
    SEGMENT_WIDTH,
    delete_marks,
    find_segment,
    insert_pruning,
    last_pruning,
    segments_before,
)
from broker.store.engine import Database

_decode = msgspec.json.Decoder().decode


def prune(database: Database, ring: AuditRing, before: datetime) -> int:
    """Delete the segments whose events are all older than ``before``; how many events that were.

    The statement comes first: whatever breaks this off, what is missing is accounted for.
    """
    with database.read() as connection:
        pruning = last_pruning(connection)
        first = pruning[0] // SEGMENT_WIDTH if pruning else 0
        end = segments_before(connection, int(before.timestamp()))
    if end > first:
        _state(database, ring, end * SEGMENT_WIDTH)
    deleted = 0
    for number in range(end):
        if number >= first or _is_there(database, number):
            with database.write() as connection:
                deleted += _delete(connection, number)
    return deleted


def _state(database: Database, ring: AuditRing, leaf: int) -> None:
    now = datetime.now(UTC)
    text = render_pruning(ring.public_keys(HEADS)[0].origin, leaf, now)
    key, signature = ring.sign(HEADS, text.encode(), now)
    event = CallRecord(new_uuid(), now, event_source="accredit", event_name="PruneAuditEvents", read_only=False)
    event.parameters = {"before_leaf": leaf}
    with database.write() as connection:
        insert_pruning(connection, leaf, render_note(text, [(Verifier(key.origin, key.raw), signature)]))
        append_records(connection, [render(event)])


def _is_there(database: Database, number: int) -> bool:
    """Whether a segment that was to be deleted is still there, for that was broken off."""
    with database.read() as connection:
        segment = find_segment(connection, number)
        return segment is not None and bool(records_of(connection, segment.sequences[-1:]))


def _delete(connection: Connection, number: int) -> int:
    segment = find_segment(connection, number)
    if segment is None:
        return 0
    records = records_of(connection, segment.sequences)
    keys = {key for record in records.values() for key in index_keys(_decode(record))}
    delete_marks(connection, list(keys), number)
    delete_events(connection, segment.sequences)
    return len(records)
