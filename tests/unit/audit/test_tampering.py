"""Somebody who can write to the database changes the record: each way is found, on both stores.

What the intruder lacks is the key that signs heads, and the heads that were kept elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from realm.server import BrokerServer, accredit, serving
from sealed import NOW, SealedStore, event, texts
from sqlalchemy import delete, insert, select, text, update

from broker.audit.canonical import canonical
from broker.audit.merkle import leaf_hash, root
from broker.audit.notes import Head, Verifier, render_head, render_note
from broker.audit.sealer import TreeDamaged
from broker.audit.tiles import memory_tiles
from broker.credentials.audit_ring import HEADS, new_audit_key
from broker.store.audit_events import Unsettled, append_records
from broker.store.audit_tree import HeadRow, all_heads, delete_head, insert_head, put_tiles
from broker.store.engine import Database
from broker.store.tables import audit_events, audit_heads, audit_segments, audit_tiles

COUNT = 600


@pytest.fixture
def sealed(database: Database, tmp_path: Path) -> SealedStore:
    return SealedStore.make(database, tmp_path).sealed(COUNT)


def record_of(sealed: SealedStore, leaf: int) -> tuple[int, str]:
    with sealed.database.read() as connection:
        query = select(audit_events.c.sequence, audit_events.c.record).order_by(audit_events.c.sequence)
        return tuple(connection.execute(query.offset(leaf).limit(1)).one())


def rewrite(sealed: SealedStore, sequence: int, record: str) -> None:
    with sealed.database.write() as connection:
        connection.execute(update(audit_events).where(audit_events.c.sequence == sequence).values(record=record))


def rebuild(sealed: SealedStore) -> bytes:
    """Make the stored tree fit the events, as an intruder would who knows how it is made; its root."""
    with sealed.database.write() as connection:
        records = connection.execute(select(audit_events.c.record).order_by(audit_events.c.sequence)).scalars()
        tiles = memory_tiles(leaf_hash(canonical(record)) for record in records)
        put_tiles(connection, tiles.changed)
    return root(tiles, tiles.size)


def heads(sealed: SealedStore) -> list[HeadRow]:
    with sealed.database.read() as connection:
        return all_heads(connection)


def test_nothing_is_found_where_nothing_is_wrong(sealed: SealedStore) -> None:
    anchor = heads(sealed)[0].note
    sealed.sealed(5)
    sealed.add(3)
    found = sealed.verify(anchor)
    assert found.problems == []
    assert (found.size, found.unsealed, found.heads) == (COUNT + 5, 3, 3)


@pytest.mark.parametrize("leaf", [0, 255, 256, COUNT - 1])
def test_an_edited_event_is_found_where_it_is(sealed: SealedStore, leaf: int) -> None:
    sequence, record = record_of(sealed, leaf)
    rewrite(sealed, sequence, record.replace("user", "User"))
    problems = sealed.verify().problems
    assert f"event {leaf} (sequence {sequence}) is not the one" in problems[0]
    assert "are not those that were signed" in problems[-1]


def test_an_edit_with_the_tree_made_to_fit_is_found(sealed: SealedStore) -> None:
    sequence, record = record_of(sealed, 7)
    rewrite(sealed, sequence, record.replace("user", "User"))
    rebuild(sealed)
    assert "are not those that were signed" in sealed.verify().problems[0]
    sealed.add(1)
    with pytest.raises(TreeDamaged):
        sealed.sealer.seal()
    assert heads(sealed)[-1].size == COUNT, "a tree that was made to fit was signed over"


def test_an_edit_that_reads_in_two_ways_is_found(sealed: SealedStore) -> None:
    sequence, record = record_of(sealed, 7)
    rewrite(sealed, sequence, '{"eventName":"Harmless",' + record[1:])
    (problem,) = sealed.verify().problems
    assert "says something twice" in problem


def test_a_deleted_event_is_found(sealed: SealedStore) -> None:
    sequence, _ = record_of(sealed, 300)
    with sealed.database.write() as connection:
        connection.execute(delete(audit_events).where(audit_events.c.sequence == sequence))
    (problem,) = sealed.verify().problems
    assert problem == f"event 300 (sequence {sequence}) is missing: it was deleted"


def test_exchanged_events_are_found(sealed: SealedStore) -> None:
    (first, one), (second, other) = record_of(sealed, 10), record_of(sealed, 20)
    rewrite(sealed, first, other)
    rewrite(sealed, second, one)
    problems = sealed.verify().problems
    assert [problem.split(" (")[0] for problem in problems[:2]] == ["event 10", "event 20"]


def test_an_event_put_in_between_is_found(sealed: SealedStore) -> None:
    sequence, _ = record_of(sealed, 300)
    record = texts([event(9_999)])[0]
    with sealed.database.write() as connection:
        connection.execute(delete(audit_events).where(audit_events.c.sequence == sequence))
        connection.execute(insert(audit_events).values(sequence=sequence, event_time=1, record=record))
        connection.execute(insert(audit_events).values(sequence=-3, event_time=1, record=record))
    problems = sealed.verify().problems
    assert any(f"sequence {sequence}" in problem for problem in problems)
    assert any("-3" in problem and "never sealed" in problem for problem in problems)


def test_a_tail_cut_off_is_found(sealed: SealedStore) -> None:
    sequence, _ = record_of(sealed, COUNT - 2)
    with sealed.database.write() as connection:
        connection.execute(delete(audit_events).where(audit_events.c.sequence >= sequence))
    assert len(sealed.verify().problems) == 2


def test_a_tail_cut_off_with_its_heads_is_found_by_a_head_kept_elsewhere(sealed: SealedStore) -> None:
    sealed.sealed(20)
    kept = heads(sealed)[-1].note
    _put_back(sealed, COUNT)
    assert sealed.verify().problems == [], "what is left fits together"
    (problem,) = sealed.verify(kept).problems
    assert "the end of the record was cut off" in problem


def _put_back(sealed: SealedStore, size: int) -> None:
    """The database as it was when ``size`` events were sealed; the size ends in the third segment."""
    sequence, _ = record_of(sealed, size)
    with sealed.database.write() as connection:
        connection.execute(delete(audit_events).where(audit_events.c.sequence >= sequence))
        connection.execute(delete(audit_heads).where(audit_heads.c.size > size))
        kept = connection.execute(select(audit_segments.c.sequences).where(audit_segments.c.number == 2)).scalar_one()
        cut = (size - 512) * 8
        connection.execute(update(audit_segments).where(audit_segments.c.number == 2).values(sequences=kept[:cut]))
        tile = audit_tiles.c.level == 0, audit_tiles.c.number == 2
        hashes = connection.execute(select(audit_tiles.c.hashes).where(*tile)).scalar_one()
        connection.execute(update(audit_tiles).where(*tile).values(hashes=hashes[: (size - 512) * 32]))


def test_a_fork_is_found_by_a_head_kept_elsewhere(sealed: SealedStore) -> None:
    """An older copy was put back, and the broker went on: it signs what forks from what it signed before."""
    sealed.sealed(20)
    kept = heads(sealed)[-1].note
    _put_back(sealed, COUNT)
    sealed.anchor.unlink()
    restarted = sealed.restarted()
    restarted.sealed(20, eventName="Other")
    assert restarted.verify().problems == []
    (problem,) = restarted.verify(kept).problems
    assert "there are two records" in problem


def test_the_sealer_does_not_go_on_where_its_anchor_file_knows_more(sealed: SealedStore) -> None:
    sealed.anchor.unlink()
    sealed.sealer._anchor._written_at = None
    sealed.sealed(20)
    assert sealed.anchor.exists()
    _put_back(sealed, COUNT)
    restarted = sealed.restarted()
    restarted.add(30)
    with pytest.raises(TreeDamaged, match="620 were signed before"):
        restarted.sealer.seal()


def test_deleted_heads_are_found(sealed: SealedStore) -> None:
    with sealed.database.write() as connection:
        connection.execute(delete(audit_heads))
    assert "there is no signed head" in sealed.verify().problems[0]


def test_a_head_signed_with_the_intruders_key_is_found(sealed: SealedStore) -> None:
    sequence, record = record_of(sealed, 7)
    rewrite(sealed, sequence, record.replace("user", "User"))
    top = rebuild(sealed)
    old = heads(sealed)[-1]
    known = sealed.ring.public_keys(HEADS)[0]
    mine = new_audit_key(HEADS)
    text_of = render_head(Head(known.origin, COUNT, top, NOW))
    key = load_der_private_key(mine.private_key, None)
    forged = render_note(text_of, [(Verifier(known.origin, mine.public_key), key.sign(text_of.encode()))])
    with sealed.database.write() as connection:
        delete_head(connection, old.size)
        insert_head(connection, HeadRow(COUNT, forged, old.created_at))
    assert "no known key signed" in sealed.verify().problems[0]
    sealed.add(1)
    with pytest.raises(TreeDamaged):
        sealed.sealer.seal()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_segments WHERE number = 1",
        "DELETE FROM audit_segments WHERE number = 2",
        "DELETE FROM audit_tiles WHERE level = 0 AND number = 1",
        "UPDATE audit_heads SET size = size - 1",
        "UPDATE audit_events SET record = '{}' WHERE sequence = (SELECT max(sequence) FROM audit_events)",
        "UPDATE audit_events SET record = 'no JSON' WHERE sequence = (SELECT min(sequence) FROM audit_events)",
        "UPDATE audit_tiles SET hashes = (SELECT hashes FROM audit_tiles WHERE level = 0 AND number = 1) "
        "WHERE level = 0 AND number = 0",
    ],
)
def test_damage_of_any_table_is_found(sealed: SealedStore, statement: str) -> None:
    with sealed.database.write() as connection:
        connection.execute(text(statement))
    assert sealed.verify().problems


def test_random_changes_are_all_found(sealed: SealedStore) -> None:
    """Any character of any event, one at a time."""
    chance = random.Random(7)
    for _ in range(60):
        sequence, record = record_of(sealed, chance.randrange(COUNT))
        place = chance.randrange(len(record))
        other = chance.choice([c for c in 'abcxyz019"{}:, ' if c != record[place]])
        rewrite(sealed, sequence, record[:place] + other + record[place + 1 :])
        assert sealed.verify().problems, (record, place, other)
        rewrite(sealed, sequence, record)
    assert sealed.verify().problems == []


def test_events_that_somebody_else_adds_while_it_is_sealed_are_sealed_later(
    open_store: Callable[..., Database], tmp_path: Path
) -> None:
    """Sequences are given before the commit: an event that commits late must not be passed over."""
    sealed = SealedStore.make(open_store(), tmp_path).sealed(3)
    other = open_store()
    if other.is_sqlite:
        pytest.skip("SQLite has one writer")
    late = other.engine.connect().execution_options(isolation_level="READ COMMITTED")
    with late.begin():
        append_records(late, texts([event(1_000)]))
        appending = other.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        append_records(appending, texts([event(1_001)]))
        appending.close()
        with pytest.raises(Unsettled):
            sealed.sealer.seal()
    late.close()
    assert sealed.sealer.seal() == 2
    assert sealed.verify().problems == []


def test_two_who_seal_at_once_make_one_tree(open_store: Callable[..., Database], tmp_path: Path) -> None:
    first = SealedStore.make(open_store(), tmp_path)
    others = [SealedStore.make(open_store(), tmp_path, first.ring._master_key) for _ in range(2)]
    everybody = [first, *others]
    for one in everybody:
        one.sealer._holder = "the same"  # as if the lease did not hold

    def work(number: int) -> None:
        for _ in range(15):
            everybody[number].add(7)
            everybody[number].sealer.seal()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(work, number) for number in range(3)]:
            done.result()
    first.sealer.seal()
    found = first.verify()
    assert found.problems == []
    assert (found.size, found.unsealed) == (3 * 15 * 7, 0)


def test_only_the_holder_of_the_lease_seals(open_store: Callable[..., Database], tmp_path: Path) -> None:
    first = SealedStore.make(open_store(), tmp_path).sealed(3)
    second = SealedStore.make(open_store(), tmp_path, first.ring._master_key)
    second.add(5)
    assert second.sealer.seal() == 0
    assert first.sealer.seal() == 5
    with first.database.write() as connection:
        connection.execute(text("UPDATE leases SET expires_at = 1"))
    second.add(2)
    assert second.sealer.seal() == 2


def test_the_command_needs_public_keys_alone(tmp_path: Path) -> None:
    """And finds what a head from elsewhere tells, in a data directory without its master key."""
    broker = BrokerServer(tmp_path / "home", settings={"audit.seal_seconds": 0.1})
    with serving(broker):
        broker.client(broker.root).get_session_token()
        _wait_for_head(broker, 3)
        key = tmp_path / "key"
        key.write_text(accredit("audit", "key", broker.directory))
        old = tmp_path / "old"
        old.write_text(accredit("audit", "head", broker.directory))
        broker.client(broker.root).get_session_token()
        _wait_for_head(broker, 4)
    (broker.directory / "master.key").unlink()
    told = json.loads(accredit("audit", "verify", broker.directory, "--key", key, "--since", old, "--json"))
    assert told["problems"] == []
    assert told["size"] >= 3
    with broker_database(broker) as database:
        event_id = json.loads(database.execute("SELECT record FROM audit_events").fetchall()[0][0])["eventID"]
    proof = tmp_path / "proof"
    proof.write_text(accredit("audit", "prove", broker.directory, "--event", event_id, "--account", "123456789012"))
    assert "the event is number" in accredit("audit", "verify", proof, "--key", key)
    proof.write_text(proof.read_text().replace("AwsApiCall", "AwsApiCaLl"))
    with pytest.raises(RuntimeError, match="does not lead to the root"):
        accredit("audit", "verify", proof, "--key", key)
    proof.write_text(accredit("audit", "prove", broker.directory, "--since", old, "--key", key))
    assert "begin with" in accredit("audit", "verify", proof, "--key", key, "--since", old)
    with broker_database(broker) as database:
        database.execute("UPDATE audit_events SET record = replace(record, 'GetSessionToken', 'GetSomething')")
        database.commit()
    with pytest.raises(RuntimeError, match="NOT the record that was signed"):
        accredit("audit", "verify", broker.directory, "--key", key)


def broker_database(broker: BrokerServer) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(broker.database))


def _wait_for_head(broker: BrokerServer, size: int) -> None:
    deadline = time.monotonic() + 10
    while (broker.query("SELECT max(size) FROM audit_heads")[0][0] or 0) < size:
        assert time.monotonic() < deadline, "nothing was sealed"
        time.sleep(0.05)
