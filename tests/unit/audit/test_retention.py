"""Old events go, and what is left can be verified; nobody without the key can pass a deletion off for that."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sealed import ACCOUNT, NOW, SealedStore, event, texts
from sqlalchemy import delete, func, insert, select, update

from broker.audit.lookup import Search, lookup
from broker.audit.proofs import check_proof, prove_record
from broker.audit.retention import prune
from broker.audit.sealer import head_verifiers
from broker.store.engine import Database
from broker.store.tables import audit_events, audit_marks, audit_prunings, audit_tiles


@pytest.fixture
def sealed(database: Database, tmp_path: Path) -> SealedStore:
    return SealedStore.make(database, tmp_path).sealed(700)


def count(sealed: SealedStore, table=audit_events) -> int:
    with sealed.database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def sequence_of(sealed: SealedStore, leaf: int) -> int:
    with sealed.database.read() as connection:
        query = select(audit_events.c.sequence).order_by(audit_events.c.sequence)
        return connection.execute(query.offset(leaf).limit(1)).scalar_one()


def test_whole_segments_go_and_the_rest_verifies(sealed: SealedStore) -> None:
    assert prune(sealed.database, sealed.ring, NOW + timedelta(seconds=600)) == 512
    sealed.sealer.seal()
    found = sealed.verify()
    assert found.problems == []
    assert (found.size, found.pruned) == (701, 512)
    assert count(sealed) == 701 - 512
    with sealed.database.read() as connection:
        assert lookup(connection, Search(ACCOUNT, "EventId", event(5)["eventID"]), 50).events == ()
        assert len(lookup(connection, Search(ACCOUNT, "EventId", event(600)["eventID"]), 50).events) == 1
        segments = connection.execute(select(audit_marks.c.segment).distinct()).scalars().all()
    assert segments == [2]
    assert prune(sealed.database, sealed.ring, NOW + timedelta(seconds=600)) == 0


def test_an_event_that_was_exported_can_be_proven_afterwards(sealed: SealedStore) -> None:
    prune(sealed.database, sealed.ring, NOW + timedelta(seconds=600))
    with sealed.database.read() as connection:
        (kept,) = texts([event(5)])
        proof = prove_record(connection, kept)
    assert "number 5 of the 700" in check_proof(json.dumps(proof), head_verifiers(sealed.ring), [])


def test_events_younger_than_that_stay(sealed: SealedStore) -> None:
    assert prune(sealed.database, sealed.ring, NOW + timedelta(seconds=255)) == 0
    assert prune(sealed.database, sealed.ring, NOW + timedelta(seconds=256)) == 256


def test_what_was_broken_off_is_gone_on_with(sealed: SealedStore) -> None:
    last = sequence_of(sealed, 511)
    prune(sealed.database, sealed.ring, NOW + timedelta(seconds=600))
    with sealed.database.write() as connection:
        connection.execute(insert(audit_events).values(sequence=last, event_time=1, record=texts([event(511)])[0]))
    assert prune(sealed.database, sealed.ring, NOW + timedelta(seconds=600)) == 1


def test_a_deletion_beyond_what_was_signed_is_found(sealed: SealedStore) -> None:
    sequence = sequence_of(sealed, 299)
    prune(sealed.database, sealed.ring, NOW + timedelta(seconds=300))
    with sealed.database.write() as connection:
        connection.execute(delete(audit_events).where(audit_events.c.sequence == sequence))
    (problem,) = sealed.verify().problems
    assert "event 299" in problem


def test_a_statement_that_was_changed_is_found(sealed: SealedStore) -> None:
    last = sequence_of(sealed, 511)
    prune(sealed.database, sealed.ring, NOW + timedelta(seconds=300))
    with sealed.database.write() as connection:
        note = connection.execute(select(audit_prunings.c.note)).scalar_one().replace("prune 256", "prune 512")
        connection.execute(update(audit_prunings).values(note=note))
        connection.execute(delete(audit_events).where(audit_events.c.sequence <= last))
    problems = sealed.verify().problems
    assert "signature of a known key is not valid" in problems[0]
    assert any("it was deleted" in problem for problem in problems)


def test_hashes_of_what_is_gone_cannot_be_changed(sealed: SealedStore) -> None:
    prune(sealed.database, sealed.ring, NOW + timedelta(seconds=300))
    with sealed.database.write() as connection:
        tile = audit_tiles.c.level == 0, audit_tiles.c.number == 0
        hashes = connection.execute(select(audit_tiles.c.hashes).where(*tile)).scalar_one()
        connection.execute(update(audit_tiles).where(*tile).values(hashes=bytes(32) + hashes[32:]))
    assert sealed.verify().problems
