"""Seals the audit record: what is on disk becomes leaves of the Merkle tree, and the tree's head is signed.

1. One process of all nodes at a time, by a lease. Should two do it at once all the same, the second one sees in its
   turn to write that the head is no longer the one it started from, and leaves it.
2. The stored tree has to be the one that was signed last, and to reach as far as this node's anchor file; otherwise
   nothing is signed any more.
3. Events are taken in the order of their sequence, up to where nothing can be added any more.
4. Tiles, segments, marks of the index and the new head are one transaction.
5. The head goes to the anchor file, which may be on another disk or host.

Nothing of it is in the way of a call.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from broker.audit.anchor import Anchor
from broker.audit.canonical import canonical
from broker.audit.index import event_seconds, index_keys
from broker.audit.merkle import leaf_hash, root
from broker.audit.notes import Head, NoteRefused, Verifier, open_head, render_head, render_note
from broker.audit.tiles import TileMissing, Tiles
from broker.credentials.audit_ring import HEADS, AuditRing
from broker.errors import BrokerError
from broker.identifiers import new_uuid
from broker.store.audit_events import Unsettled, read_events, settled_sequence
from broker.store.audit_tree import (
    SEGMENT_WIDTH,
    HeadRow,
    Segment,
    add_marks,
    delete_head,
    find_tile,
    insert_head,
    last_heads,
    last_segment,
    put_segments,
    put_tiles,
)
from broker.store.engine import Database
from broker.store.leases import take_lease

_LEASE = "audit-sealer"
_LEASE_SECONDS = 15.0
_BATCH = 2_048
"""Events of one transaction, which holds the writers' turn."""
_LAST = 2**63 - 1
_KEPT_SECONDS = 60
"""Of the heads that were signed within this time only the last is kept."""

_log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder().decode


class TreeDamaged(Exception):
    """The stored tree is not the one that was signed: somebody changed the database, or restored an old copy."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is sealed so far."""

    heads: list[HeadRow]
    size: int
    segment: Segment | None


class Sealer:
    """Seals what there is; ``start`` does it again and again."""

    def __init__(self, database: Database, ring: AuditRing, anchor: Anchor) -> None:
        self._database = database
        self._ring = ring
        self._anchor = anchor
        self._holder = new_uuid()
        self._anchor_checked = False

    def seal(self) -> int:
        """Seal all that is settled; how many events that were, 0 if another process has the lease.

        Raises TreeDamaged, Unsettled, BrokerError, SQLAlchemyError, OSError.
        """
        sealed = 0
        if not self._pending():
            return 0
        while take_lease(self._database, _LEASE, self._holder, now=time.time(), seconds=_LEASE_SECONDS):
            count = self._seal_batch()
            sealed += count
            if count < _BATCH:
                break
        return sealed

    def _pending(self) -> bool:
        """Whether there is anything to do: a process that has nothing to do writes nothing."""
        with self._database.read() as connection:
            heads, segment = last_heads(connection, 1), last_segment(connection)
            return not heads or bool(read_events(connection, segment.sequences[-1] if segment else 0, _LAST, 1))

    def _seal_batch(self) -> int:
        settled, anchored = settled_sequence(self._database), self._anchored()
        with self._database.read() as connection:
            stored = _stored(connection)
            tiles = Tiles(lambda key: find_tile(connection, *key), stored.size)
            self._check(stored, tiles, anchored)
            after = stored.segment.sequences[-1] if stored.segment else 0
            events = read_events(connection, after, settled, _BATCH)
            if not events and stored.heads:
                return 0
            tiles.append(leaf_hash(canonical(record)) for _, record in events)
            digest = root(tiles, tiles.size)
        segments, marks = _file(stored, events)
        now = datetime.now(UTC)
        note = self._sign(tiles.size, digest, now)
        with self._database.write() as connection:
            if last_heads(connection, 1) != stored.heads[:1]:
                return 0  # another process was faster
            if len(stored.heads) == 2 and stored.heads[0].created_at - stored.heads[1].created_at < _KEPT_SECONDS:
                delete_head(connection, stored.heads[0].size)
            insert_head(connection, HeadRow(tiles.size, note, int(now.timestamp())))
            put_tiles(connection, tiles.changed)
            put_segments(connection, segments)
            add_marks(connection, marks)
        self._anchor.append(note, now)
        return len(events)

    def _anchored(self) -> Head | None:
        """The last head of the anchor file, the first time; read before the tree, which may grow meanwhile."""
        try:
            return None if self._anchor_checked else self._anchor.last(head_verifiers(self._ring))
        except NoteRefused as error:
            raise TreeDamaged(f"the anchor file: {error}") from error

    def _check(self, stored: _Stored, tiles: Tiles, anchored: Head | None) -> None:
        """Step 2."""
        try:
            if stored.heads:
                head = open_head(stored.heads[0].note, head_verifiers(self._ring))
                if root(tiles, stored.size) != head.root:
                    raise TreeDamaged(f"the stored tree is not the one signed at {head.time}")
            if anchored is not None and anchored.size > stored.size:
                raise TreeDamaged(f"the tree has {stored.size} leaves, but {anchored.size} were signed before")
            if anchored is not None and root(tiles, anchored.size) != anchored.root:
                raise TreeDamaged(f"the tree forks from the anchor file before leaf {anchored.size}")
        except (TileMissing, NoteRefused) as error:
            raise TreeDamaged(str(error)) from error
        self._anchor_checked = True

    def _sign(self, size: int, digest: bytes, now: datetime) -> str:
        origin = self._ring.public_keys(HEADS)[0].origin
        text = render_head(Head(origin, size, digest, now))
        key, signature = self._ring.sign(HEADS, text.encode(), now)
        return render_note(text, [(Verifier(key.origin, key.raw), signature)])


def head_verifiers(ring: AuditRing) -> list[Verifier]:
    """The public keys that heads of this log may be signed with, the newest first."""
    return [Verifier(key.origin, key.raw) for key in ring.public_keys(HEADS)]


def start_sealing(sealer: Sealer, seconds: float) -> None:
    """Seal every ``seconds`` in a thread of its own, which ends with the process."""
    threading.Thread(target=_run, args=(sealer, seconds), name="audit-sealer", daemon=True).start()


def _run(sealer: Sealer, seconds: float) -> None:
    while True:
        time.sleep(seconds)
        try:
            sealer.seal()
        except TreeDamaged as error:
            _log.critical("the audit record is not the one that was signed", extra={"error": str(error)})
        except (Unsettled, BrokerError, SQLAlchemyError, OSError) as error:
            _log.warning("audit events cannot be sealed now", extra={"error": repr(error)})


def _stored(connection: Connection) -> _Stored:
    segment = last_segment(connection)
    size = (segment.number * SEGMENT_WIDTH + len(segment.sequences)) if segment else 0
    heads = last_heads(connection, 2)
    if heads and heads[0].size != size:
        raise TreeDamaged(f"{heads[0].size} leaves were signed, {size} are there")
    return _Stored(heads, size, segment)


def _file(stored: _Stored, events: Sequence[tuple[int, str]]) -> tuple[list[Segment], dict[tuple[int, int], int]]:
    """The segments and the marks that new events change."""
    segments: dict[int, Segment] = {}
    if stored.segment is not None:
        segments[stored.segment.number] = stored.segment
    marks: dict[tuple[int, int], int] = {}
    latest = stored.segment.latest_time if stored.segment is not None else 0
    for leaf, (sequence, record) in enumerate(events, stored.size):
        event = _event(record)
        number, place = divmod(leaf, SEGMENT_WIDTH)
        time_of = event_seconds(event)
        latest = max(latest, time_of)
        before = segments.get(number)
        sequences = (*before.sequences, sequence) if before else (sequence,)
        first = min(before.first_time, time_of) if before else time_of
        segments[number] = Segment(number, sequences, first, latest)
        for key in index_keys(event):
            marks[key, number] = marks.get((key, number), 0) | 1 << place
    return list(segments.values()), marks


def _event(record: str) -> dict[str, Any]:
    """The event; nothing of what is no JSON object, as nobody but an intruder writes it."""
    try:
        found = _decode(record)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
