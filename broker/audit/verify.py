"""Is the record the one that was signed? Found out from the events alone, with public keys alone.

1. Every head that is kept, in the database and outside of it, has to be signed by a known key.
2. Every leaf is hashed from its event anew; the stored tree only tells which one is wrong.
3. The root of the first N events has to be the one of every head of size N.
4. A head from outside that says more than is here tells that the end was cut off; one of another root, that there are
   two records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from broker.audit.canonical import canonical, is_plain
from broker.audit.merkle import HASH_BYTES, Frontier, leaf_hash
from broker.audit.notes import Head, NoteRefused, Verifier, open_head
from broker.store.audit_events import count_events, read_events
from broker.store.audit_tree import Segment, all_heads, find_segment, find_tile, last_segment

_BEFORE_ALL = -(2**63)
MAX_PROBLEMS = 100
"""More are not told one by one."""


@dataclass(slots=True)
class Verification:
    """What was found: ``size`` events are sealed, ``unsealed`` are not yet, and ``heads`` were checked."""

    size: int = 0
    root: bytes = b""
    unsealed: int = 0
    heads: int = 0
    problems: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(text)


def verify_record(connection: Connection, verifiers: Sequence[Verifier], anchors: Iterable[str] = ()) -> Verification:
    """Check the whole record of a store; ``anchors`` are heads (notes) that were kept elsewhere."""
    found = Verification()
    wanted = _heads(connection, verifiers, anchors, found)
    frontier = Frontier()
    _compare(frontier, wanted, found)
    after = _BEFORE_ALL
    for segment in _segments(connection, found):
        for leaf in _leaves(connection, segment, after, found):
            frontier.append(leaf)
            _compare(frontier, wanted, found)
        after = segment.sequences[-1]
    found.size, found.root = frontier.size, frontier.root()
    found.unsealed = count_events(connection, after)
    for size, heads in sorted(wanted.items()):
        for head, where in heads:
            found.problem(
                f"{where}: {size} events were signed at {head.time.isoformat()}, but {frontier.size} are here: "
                "the end of the record was cut off"
            )
    return found


def _heads(
    connection: Connection, verifiers: Sequence[Verifier], anchors: Iterable[str], found: Verification
) -> dict[int, list[tuple[Head, str]]]:
    """Step 1: the heads that must hold, by their size; how each is called."""
    own = [(row.note, f"head of {row.size} events", row.size) for row in all_heads(connection)]
    if not own:
        found.problem("there is no signed head: nothing was sealed, or all heads were deleted")
    wanted: dict[int, list[tuple[Head, str]]] = {}
    for note, where, size in (*own, *((note, "head from outside", None) for note in anchors)):
        try:
            head = open_head(note, verifiers)
        except NoteRefused as error:
            found.problem(f"{where}: {error}")
            continue
        found.heads += 1
        if head.origin not in {verifier.name for verifier in verifiers} or size not in (None, head.size):
            found.problem(f"{where}: it is of another record, {head.origin} with {head.size} events")
            continue
        wanted.setdefault(head.size, []).append((head, where))
    return wanted


def _compare(frontier: Frontier, wanted: dict[int, list[tuple[Head, str]]], found: Verification) -> None:
    """Step 3, of the heads of this size."""
    for head, where in wanted.pop(frontier.size, ()):
        if head.root != frontier.root():
            found.problem(
                f"{where} (signed at {head.time.isoformat()}): the first {head.size} events are not those that were "
                "signed: they were changed, or there are two records"
            )


def _segments(connection: Connection, found: Verification) -> Iterator[Segment]:
    last = last_segment(connection)
    for number in range(last.number + 1 if last else 0):
        segment = find_segment(connection, number)
        if segment is None:
            found.problem(f"segment {number} is missing: where events {number * 256} and following are is unknown")
            return
        yield segment


def _leaves(connection: Connection, segment: Segment, after: int, found: Verification) -> Iterator[bytes]:
    """Step 2. The hashes of a segment's events; of one that is not there, what the stored tree says."""
    stored = find_tile(connection, 0, segment.number) or b""
    events = dict(read_events(connection, after, segment.sequences[-1], len(segment.sequences) + MAX_PROBLEMS))
    for place, sequence in enumerate(segment.sequences):
        known = stored[place * HASH_BYTES : (place + 1) * HASH_BYTES]
        leaf, record = segment.number * 256 + place, events.pop(sequence, None)
        if record is None:
            found.problem(f"event {leaf} (sequence {sequence}) is missing: it was deleted")
            yield known
            continue
        digest = leaf_hash(canonical(record))
        if digest != known:
            found.problem(f"event {leaf} (sequence {sequence}) is not the one that was sealed: it was changed or moved")
        elif not is_plain(record):
            found.problem(f"event {leaf} (sequence {sequence}) says something twice: its text was changed")
        yield digest
    for sequence in events:
        found.problem(f"the event of sequence {sequence} was never sealed: it was put in between later")
