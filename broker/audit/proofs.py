"""Proofs that travel: an event with the way from it to a signed head, or the way from an old head to a newer one.

Whoever has the verifier keys can check one without the store. A proof is JSON; hashes are in base64.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from broker.audit.canonical import canonical
from broker.audit.index import index_key
from broker.audit.merkle import (
    ProofRefused,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from broker.audit.notes import Head, Verifier, open_head
from broker.audit.tiles import Tiles
from broker.errors import NotFound
from broker.store.audit_events import find_record
from broker.store.audit_tree import SEGMENT_WIDTH, find_segment, find_tile, last_heads, read_marks

INCLUSION = "accredit-audit-inclusion-v1"
CONSISTENCY = "accredit-audit-consistency-v1"
_MAX_SEGMENT = 2**62


def prove_event(connection: Connection, account: str, event_id: str) -> dict[str, Any]:
    """That an event is in the tree of the newest head. Raises NotFound if it is not, or not yet."""
    leaf, record = _find_event(connection, account, event_id)
    note, size = _newest(connection)
    path = inclusion_proof(Tiles(lambda key: find_tile(connection, *key), size), leaf, size)
    return {"kind": INCLUSION, "event": record, "leaf": leaf, "path": [*map(_text, path)], "head": note}


def prove_consistency(connection: Connection, old: Head) -> dict[str, Any]:
    """That the newest head's tree begins with the tree of ``old``. Raises ProofRefused if it cannot."""
    note, size = _newest(connection)
    path = consistency_proof(Tiles(lambda key: find_tile(connection, *key), size), old.size, size)
    return {"kind": CONSISTENCY, "path": [*map(_text, path)], "head": note}


def check_proof(text: str, verifiers: Sequence[Verifier], since: Sequence[str]) -> str:
    """What a proof shows, in a sentence. ``since``: the older heads that a consistency proof is about.

    Raises ProofRefused and NoteRefused.
    """
    try:
        proof = json.loads(text)
        path = [base64.b64decode(step, validate=True) for step in proof["path"]]
        head = open_head(proof["head"], verifiers)
        if proof["kind"] == INCLUSION:
            leaf = int(proof["leaf"])
            verify_inclusion(leaf_hash(canonical(proof["event"])), leaf, head.size, path, head.root)
            return f"the event is number {leaf} of the {head.size} signed at {head.time.isoformat()}"
        if proof["kind"] != CONSISTENCY:
            raise ProofRefused("the proof is of an unknown kind")
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error, RecursionError) as error:
        raise ProofRefused("the proof is malformed") from error
    if len(since) != 1:
        raise ProofRefused("a consistency proof needs the one older head that it is about")
    old = open_head(since[0], verifiers)
    verify_consistency(old.size, old.root, head.size, head.root, path)
    return f"the {head.size} events signed at {head.time.isoformat()} begin with the {old.size} signed before"


def _find_event(connection: Connection, account: str, event_id: str) -> tuple[int, str]:
    key = index_key(account, "EventId", event_id)
    for number, bits in read_marks(connection, key, 0, _MAX_SEGMENT, SEGMENT_WIDTH):
        segment = find_segment(connection, number)
        for place, sequence in enumerate(segment.sequences if segment else ()):
            record = find_record(connection, sequence) if bits >> place & 1 else None
            if record is not None and json.loads(record).get("eventID") == event_id:
                return number * SEGMENT_WIDTH + place, record
    raise NotFound(f"There is no sealed event {event_id} of account {account or '(none)'}.")


def _newest(connection: Connection) -> tuple[str, int]:
    heads = last_heads(connection, 1)
    if not heads:
        raise NotFound("There is no signed head yet.")
    return heads[0].note, heads[0].size


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
