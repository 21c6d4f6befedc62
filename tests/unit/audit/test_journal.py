"""A worker's journal: nothing that was answered is lost, nothing is recorded twice, whatever dies and when."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from broker.audit import journal as journals
from broker.audit import log as logs
from broker.audit.journal import Journal, JournalFull, replay
from broker.audit.log import AuditLog
from broker.errors import AuditUnavailable, Unavailable
from broker.store.audit_events import append_records, ingest
from broker.store.engine import Database
from broker.store.schema import migrate
from broker.store.tables import audit_events

FULL = OperationalError("INSERT", {}, Exception("database or disk is full"))


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(journals, "SHEET_BYTES", 4_096)
    opened = Database("sqlite:///test.db", tmp_path)
    migrate(opened)
    yield opened
    opened.close()


def _open(database: Database) -> Journal:
    assert database.journals is not None
    return Journal(database.journals, database)


def _take(database: Database, journal: Journal) -> None:
    """What the flusher does."""
    with database.write() as connection:
        ingest(connection, journal.path.name, journal.turn())
    journal.done()


def _records(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(audit_events.c.record).order_by(audit_events.c.sequence)).scalars())


def test_a_record_is_in_the_file_when_the_call_returns(database: Database) -> None:
    journal = _open(database)
    journal.append(["one", "zw\u00f6lf \U0001f511"])
    assert "zw\u00f6lf \U0001f511".encode() in journal.path.read_bytes()
    assert journal.path.stat().st_mode & 0o077 == 0
    assert _records(database) == []
    _take(database, journal)
    assert _records(database) == ["one", "zw\u00f6lf \U0001f511"]


def test_what_a_dead_worker_left_is_taken_in_once(database: Database) -> None:
    dead = _open(database)
    dead.append(["one"])
    dead.append(["two", "three"])
    dead.close()
    for _ in range(3):
        _open(database).close()
        replay(database)
    assert _records(database) == ["one", "two", "three"]


def test_a_worker_that_dies_after_the_transaction_leaves_no_doubles(database: Database) -> None:
    journal = _open(database)
    journal.append(["one"])
    with database.write() as connection:
        ingest(connection, journal.path.name, journal.turn())  # and dead, before done()
    journal.append(["two"])
    journal.close()
    _open(database).close()
    assert _records(database) == ["one", "two"]


def test_a_frame_that_a_reader_missed_is_not_passed_over(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sheets are read one after the other; meanwhile their worker may have written to the first and the second."""
    journal = _open(database)
    for record in ("one", "two", "three"):
        journal.append([record])
    everything = journals._read(journal.path)
    with monkeypatch.context() as patch:
        patch.setattr(journals, "_read", lambda _: [everything[0], everything[2]])
        replay(database)
    assert _records(database) == ["one"]
    _take(database, journal)
    assert _records(database) == ["one", "two", "three"]


def test_a_transaction_that_is_broken_off_takes_nothing(database: Database) -> None:
    journal = _open(database)
    journal.append(["one"])
    with suppress(Unavailable), database.write() as connection:
        ingest(connection, journal.path.name, journal.turn())
        raise FULL
    assert _records(database) == []
    journal.append(["two"])
    _take(database, journal)
    _take(database, journal)
    assert _records(database) == ["one", "two"]


@pytest.mark.parametrize("cut", [1, 3, 15, 16, 18])
def test_a_torn_last_record_is_none(database: Database, cut: int) -> None:
    journal = _open(database)
    journal.append(["one", "two"])
    end = 2 * (16 + 3)
    journal.append(["new"])
    with journal.path.open("r+b") as file:
        file.seek(end + 16 + 3 - cut)
        file.write(bytes(cut))
    journal.close()
    again = _open(database)
    assert _records(database) == ["one", "two"]
    again.append(["three"])
    _take(database, again)
    assert _records(database) == ["one", "two", "three"]


def test_what_an_earlier_use_left_on_a_sheet_never_comes_back(database: Database) -> None:
    """Frames of all sizes over frames of all sizes, and a reader in between."""
    expected = []
    journal = _open(database)
    for turn in range(60):
        group = [f"{turn}-{number}" + "x" * (turn * number % 97) for number in range(turn * 7 % 11)]
        journal.append(group)
        expected += group
        if turn % 7 == 3:
            replay(database)
        if turn % 13 == 5:
            journal.close()
            journal = _open(database)
        if turn % 2:
            _take(database, journal)
    _take(database, journal)
    assert _records(database) == expected


def test_a_full_journal_refuses_until_the_database_takes_it(database: Database) -> None:
    journal = _open(database)
    journal.append(["x" * 3_000])
    with pytest.raises(JournalFull):
        journal.append(["y" * 3_000])
    assert journal.usable
    journal.turn()  # the database does not take it now; the other sheet is free
    journal.append(["y" * 3_000])
    with pytest.raises(JournalFull):
        journal.append(["z" * 3_000])
    _take(database, journal)
    _take(database, journal)
    journal.append(["z" * 3_000])
    _take(database, journal)
    assert [record[0] for record in _records(database)] == ["x", "y", "z"]


@pytest.mark.parametrize("short", [False, True])
def test_after_a_failed_write_nothing_counts_any_more(
    database: Database, monkeypatch: pytest.MonkeyPatch, short: bool
) -> None:
    """A later flush would succeed, though what failed was never written."""
    journal = _open(database)
    journal.append(["one"])
    write = os.pwrite

    def fail(file: int, content: bytes, place: int) -> int:
        if b"lost" in content:
            write(file, content, place)  # in memory, not on disk
            if short:
                return len(content) - 1
            raise OSError(errno.EIO, "Input/output error")
        return write(file, content, place)

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(OSError):
        journal.append(["lost"])
    assert not journal.usable
    with pytest.raises(OSError):
        journal.append(["later"])
    journal.close()
    _open(database).close()
    assert _records(database) == ["one"]


def test_two_workers_and_a_reader(database: Database) -> None:
    one, two = _open(database), _open(database)
    assert one.path != two.path
    one.append(["a"])
    two.append(["b"])
    replay(database)
    assert sorted(_records(database)) == ["a", "b"]
    one.append(["c"])
    _take(database, one)
    _take(database, two)
    two.append(["d"])
    two.close()
    replay(database)
    assert sorted(_records(database)) == ["a", "b", "c", "d"]
    one.close()


def test_the_log_brings_both_kinds_into_the_database(database: Database) -> None:
    log = AuditLog(database, read_flush_seconds=0.02)
    log.record("issued")
    log.record_soon("read")
    deadline = time.monotonic() + 5
    while len(_records(database)) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    log.close()
    assert sorted(_records(database)) == ["issued", "read"]


def test_a_log_whose_database_is_full_goes_on_until_its_journal_is(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise FULL

    monkeypatch.setattr(logs, "append_records", full)
    log = AuditLog(database, read_flush_seconds=0.005)
    answered = 0
    with suppress(AuditUnavailable):
        while answered < 100:
            log.record(f"{answered} {'x' * 500}")
            answered += 1
    assert 5 < answered < 100
    monkeypatch.setattr(logs, "append_records", append_records)
    log.flush()
    log.flush()
    log.record("there is room again")
    log.close()
    records = _records(database)
    assert [int(record.split()[0]) for record in records[:-1]] == list(range(answered))
    assert records[-1] == "there is room again"


def test_a_log_whose_journal_failed_writes_to_the_database(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditLog(database, read_flush_seconds=60)
    log.record("one")

    def fail(*_arguments: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        with pytest.raises(AuditUnavailable):
            log.record("refused")
    log.record("two")
    assert _records(database) == ["two"]
    log.close()
    assert _records(database) == ["two", "one"]


def test_many_threads_and_a_reader(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SHEET_BYTES", 1 << 20)
    log = AuditLog(database, read_flush_seconds=0.005)

    def work(number: int) -> None:
        for step in range(50):
            (log.record if step % 2 else log.record_soon)(f"{number}-{step}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        replay(database)
    for thread in threads:
        thread.join()
    log.close()
    assert sorted(_records(database)) == sorted(f"{n}-{s}" for n in range(8) for s in range(50))


_WORKER = """
import os, sys, threading
from pathlib import Path
from broker.audit.log import AuditLog
from broker.store.engine import Database
log = AuditLog(Database("sqlite:///test.db", Path(sys.argv[1])), read_flush_seconds=0.005)
def work(thread):
    for number in range(1_000_000):
        log.record(f"{sys.argv[2]}-{thread}-{number}")
        os.write(1, f"{sys.argv[2]}-{thread}-{number}\\n".encode())
for thread in range(4):
    threading.Thread(target=work, args=(thread,), daemon=True).start()
threading.Event().wait()
"""


def test_killed_at_any_moment(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told before the kill is there, and nothing is there twice."""
    monkeypatch.undo()  # the other processes have sheets of the real size
    told: list[str] = []
    for number in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(tmp_path), str(number)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        told.append(process.stdout.readline().strip())
        time.sleep(0.1 + 0.037 * number)
        process.send_signal(signal.SIGKILL)
        told += process.communicate()[0].splitlines()
    replay(database)
    found = Counter(_records(database))
    assert set(found.values()) == {1}
    assert len(told) > 20
    assert not set(told) - found.keys()
