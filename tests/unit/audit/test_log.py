"""The audit log: durable before the answer, in groups, and nothing issued when it cannot be."""

import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from broker.audit import log as logs
from broker.audit.log import _MAX_BACKLOG_CHARACTERS, AuditLog
from broker.errors import AuditUnavailable
from broker.store.audit_events import Appender, append_records
from broker.store.engine import Database
from broker.store.tables import audit_events


class FailingAppender(Appender):
    """A database's full disk, switched on and off; a slow one, held and let go."""

    full = False
    commits = 0
    hold: threading.Event | None = None

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.held = threading.Event()

    def append(self, records) -> None:
        self.held.set()
        if self.hold is not None:
            self.hold.wait(5)
        if self.full:
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        super().append(records)
        self.commits += 1


@pytest.fixture
def database(open_store: Callable[..., Database]) -> Database:
    return open_store(connections=20)


@pytest.fixture
def disk(database: Database) -> FailingAppender:
    return FailingAppender(database)


@pytest.fixture
def log(database: Database, disk: FailingAppender, monkeypatch: pytest.MonkeyPatch):
    """Straight into the database, as where it serves several nodes; for the journal see test_journal.py."""
    monkeypatch.setattr(database, "journals", None)

    def take(connection: Connection, records: Sequence[str]) -> None:
        if disk.full:
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        append_records(connection, records)

    monkeypatch.setattr(logs, "append_records", take)
    opened = AuditLog(database, read_flush_seconds=0.02)
    opened._appender = disk
    yield opened
    disk.full = False
    opened.close()


def _records(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(audit_events.c.record).order_by(audit_events.c.sequence)).scalars())


def test_a_record_is_on_disk_when_the_call_returns(database: Database, disk: FailingAppender, log: AuditLog) -> None:
    log.record("one")
    assert _records(database) == ["one"]


def test_read_only_calls_do_not_wait_but_follow_within_the_bound(
    database: Database, disk: FailingAppender, log: AuditLog
) -> None:
    log.record_soon("one")
    deadline = time.monotonic() + 0.1 + 1.0  # the bound, and what a busy machine may add
    while not _records(database) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert _records(database) == ["one"]


def test_one_commit_serves_many_waiting_calls(database: Database, disk: FailingAppender, log: AuditLog) -> None:
    disk.hold = threading.Event()
    threads = [threading.Thread(target=log.record, args=(str(number),)) for number in range(16)]
    threads[0].start()
    disk.held.wait(5)
    for thread in threads[1:]:
        thread.start()
    while log._issued._waiting.qsize() < 15:
        time.sleep(0.001)
    disk.hold.set()
    for thread in threads:
        thread.join()
    assert sorted(_records(database), key=int) == [str(number) for number in range(16)]
    assert disk.commits == 2


def test_a_caller_that_does_not_wait_is_told_by_another_thread(
    database: Database, disk: FailingAppender, log: AuditLog
) -> None:
    told: SimpleQueue[tuple[AuditUnavailable | None, list[str], int]] = SimpleQueue()

    def settle(error: AuditUnavailable | None) -> None:
        told.put((error, _records(database), threading.get_ident()))

    log.record_then("one", settle)
    error, on_disk, thread = told.get(timeout=5)
    assert (error, on_disk) == (None, ["one"])
    assert thread != threading.get_ident()
    disk.full = True
    log.record_then("two", settle)
    error, on_disk, _ = told.get(timeout=5)
    assert isinstance(error, AuditUnavailable)
    assert on_disk == ["one"]


def test_one_that_cannot_be_told_keeps_nobody_waiting(database: Database, disk: FailingAppender, log: AuditLog) -> None:
    def fail(_error: AuditUnavailable | None) -> None:
        raise ZeroDivisionError

    log.record_then("one", fail)
    log.record("two")
    assert _records(database) == ["one", "two"]


def test_closing_settles_whoever_waits(database: Database) -> None:
    log = AuditLog(database, read_flush_seconds=60)
    told: SimpleQueue[AuditUnavailable | None] = SimpleQueue()
    for number in range(100):
        log.record_then(str(number), told.put)
    log.close()
    assert [told.get_nowait() for _ in range(100)] == [None] * 100
    assert _records(database) == [str(number) for number in range(100)]


def test_every_record_of_many_threads_arrives_once(database: Database, disk: FailingAppender, log: AuditLog) -> None:
    def work(number: int) -> None:
        for step in range(50):
            (log.record if step % 2 else log.record_soon)(f"{number}-{step}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.flush()
    assert sorted(_records(database)) == sorted(f"{n}-{s}" for n in range(8) for s in range(50))


def test_a_full_disk_refuses_and_keeps_what_was_answered(
    database: Database, disk: FailingAppender, log: AuditLog
) -> None:
    disk.full = True
    log.record_soon("answered")
    with pytest.raises(AuditUnavailable):
        log.record("not issued")
    disk.full = False
    log.record("later")
    log.flush()
    assert sorted(_records(database)) == ["answered", "later"]


def test_the_backlog_is_bounded(database: Database, disk: FailingAppender, log: AuditLog) -> None:
    disk.full = True
    record = "x" * (_MAX_BACKLOG_CHARACTERS // 16)
    for _ in range(16):
        log.record_soon(record)
    with pytest.raises(AuditUnavailable):
        log.record_soon("one too many")
    disk.full = False
    log.flush()
    log.record_soon("there is room again")


def test_closing_writes_what_is_left(database: Database) -> None:
    log = AuditLog(database, read_flush_seconds=60)
    log.record_soon("last")
    log.close()
    assert _records(database) == ["last"]


def test_a_commit_that_breaks_off_in_an_unforeseen_way_settles_nobody(
    database: Database, disk: FailingAppender, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is raised, no waiting call may take it for success."""

    def break_off(_records: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(disk, "append", break_off)
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        log.record("lost")
    monkeypatch.undo()
    log.record("later")
    assert _records(database) == ["later"]


def test_many_records_are_one_transaction(database: Database) -> None:
    Appender(database).append([str(number) for number in range(1_000)])
    assert len(_records(database)) == 1_000
    with pytest.raises(SQLAlchemyError):
        Appender(database).append([*(str(number) for number in range(999)), {}])  # type: ignore[list-item]
    assert len(_records(database)) == 1_000


def test_a_call_writes_overdue_records_itself(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under load the flusher may not get its turn."""
    monkeypatch.setattr(AuditLog, "_flush_regularly", lambda self: None)
    log = AuditLog(database, read_flush_seconds=0.02)
    log.record_soon("one")
    assert _records(database) == []
    time.sleep(0.05)
    log.record_soon("two")
    assert _records(database) == ["one", "two"]
    log.close()
