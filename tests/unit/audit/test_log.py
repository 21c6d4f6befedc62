"""The audit log: durable before the answer, in groups, and nothing issued when it cannot be."""

import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from broker.audit.log import _MAX_BACKLOG, AuditLog
from broker.errors import AuditUnavailable
from broker.store.engine import Database
from broker.store.schema import migrate
from broker.store.tables import audit_events


class FailingDatabase(Database):
    """A full disk, switched on and off."""

    full = False
    commits = 0

    @contextmanager
    def append(self):
        if self.full:
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        with super().append() as connection:
            self.commits += 1
            yield connection


@pytest.fixture
def database(tmp_path: Path):
    opened = FailingDatabase("sqlite:///test.db", tmp_path, connections=20)
    migrate(opened)
    opened.commits = 0
    yield opened
    opened.close()


@pytest.fixture
def log(database: FailingDatabase):
    opened = AuditLog(database, read_flush_seconds=0.02)
    yield opened
    database.full = False
    opened.close()


def _records(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(audit_events.c.record).order_by(audit_events.c.sequence)).scalars())


def test_a_record_is_on_disk_when_the_call_returns(database: FailingDatabase, log: AuditLog) -> None:
    log.record("one")
    assert _records(database) == ["one"]


def test_read_only_calls_do_not_wait_but_follow_within_the_bound(database: FailingDatabase, log: AuditLog) -> None:
    log.record_soon("one")
    deadline = time.monotonic() + 0.1 + 1.0  # the bound, and what a busy machine may add
    while not _records(database) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert _records(database) == ["one"]


def test_one_commit_serves_many_waiting_calls(database: FailingDatabase, log: AuditLog) -> None:
    hold, held = threading.Event(), threading.Event()
    original = FailingDatabase.append

    @contextmanager
    def slow_append(self):
        held.set()
        hold.wait(5)
        with original(self) as connection:
            yield connection

    database.append = slow_append.__get__(database)
    threads = [threading.Thread(target=log.record, args=(str(number),)) for number in range(16)]
    threads[0].start()
    held.wait(5)
    for thread in threads[1:]:
        thread.start()
    while len(log._tickets) < 15:
        time.sleep(0.001)
    hold.set()
    for thread in threads:
        thread.join()
    assert sorted(_records(database), key=int) == [str(number) for number in range(16)]
    assert database.commits == 2


def test_every_record_of_many_threads_arrives_once(database: FailingDatabase, log: AuditLog) -> None:
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


def test_a_full_disk_refuses_and_keeps_what_was_answered(database: FailingDatabase, log: AuditLog) -> None:
    database.full = True
    log.record_soon("answered")
    with pytest.raises(AuditUnavailable):
        log.record("not issued")
    database.full = False
    log.record("later")
    assert _records(database) == ["answered", "later"]


def test_the_backlog_is_bounded(database: FailingDatabase, log: AuditLog) -> None:
    database.full = True
    for number in range(_MAX_BACKLOG):
        log.record_soon(str(number))
    with pytest.raises(AuditUnavailable):
        log.record_soon("one too many")


def test_closing_writes_what_is_left(database: FailingDatabase) -> None:
    log = AuditLog(database, read_flush_seconds=60)
    log.record_soon("last")
    log.close()
    assert _records(database) == ["last"]
