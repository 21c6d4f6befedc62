"""Last uses: gathered in memory, written in batches, and never lost to a store that does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from broker.audit.event import CallRecord
from broker.store.engine import Database
from broker.store.schema import migrate
from broker.store.usages import Usage, find_last_usage, list_usages
from broker.usage import UsageLog

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MOMENT = int(NOW.timestamp())
LONG, TEMPORARY = "AKIA" + "A" * 16, "ASIA" + "A" * 16


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database("sqlite:///accredit.db", tmp_path)
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def log(database: Database) -> Iterator[UsageLog]:
    made = UsageLog(database)
    yield made
    made.close()


def call(action: str = "ListUsers", key: str = LONG, now: datetime = NOW, region: str = "eu-west-1") -> CallRecord:
    return CallRecord("id", now, event_name=action, access_key_id=key, region=region)


def last(database: Database, subject: str) -> Usage | None:
    with database.read() as connection:
        return find_last_usage(connection, subject)


def test_the_key_and_its_owner_are_noted(database: Database, log: UsageLog) -> None:
    log.note("AIDA1", "iam", call())
    log.note("AROA1", "sts", call("GetCallerIdentity", TEMPORARY))
    log.flush()
    assert last(database, LONG) == Usage(LONG, "iam", "ListUsers", "eu-west-1", MOMENT)
    assert last(database, "AIDA1") == Usage("AIDA1", "iam", "ListUsers", "eu-west-1", MOMENT)
    assert last(database, "AROA1") == Usage("AROA1", "sts", "GetCallerIdentity", "eu-west-1", MOMENT)
    assert last(database, TEMPORARY) is None, "names without end are not kept"


def test_the_latest_counts_whoever_writes_last(database: Database, log: UsageLog) -> None:
    log.note("AIDA1", "iam", call(region="late"))
    log.flush()
    log.note("AIDA1", "iam", call(now=NOW - timedelta(seconds=9), region="early"))
    log.note("AIDA1", "iam", call("GetUser", now=NOW + timedelta(seconds=1)))
    log.flush()
    with database.read() as connection:
        found = {use.action: (use.used_at, use.region) for use in list_usages(connection, ["AIDA1"])}
    assert found == {"ListUsers": (MOMENT, "late"), "GetUser": (MOMENT + 1, "eu-west-1")}
    assert last(database, "AIDA1") == Usage("AIDA1", "iam", "GetUser", "eu-west-1", MOMENT + 1)


def test_no_cache_is_thrown_away(database: Database, log: UsageLog) -> None:
    before = database.revision()
    log.note("AIDA1", "iam", call())
    log.flush()
    assert database.revision() == before


def test_what_cannot_be_written_is_kept(database: Database, log: UsageLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("statement", {}, Exception("disk full"))

    with monkeypatch.context() as patch:
        patch.setattr("broker.usage.put_usages", broken)
        log.note("AIDA1", "iam", call(region="early"))
        log.flush()
        log.note("AIDA1", "iam", call(now=NOW + timedelta(seconds=1)))
        log.flush()
    log.flush()
    assert last(database, "AIDA1") == Usage("AIDA1", "iam", "ListUsers", "eu-west-1", MOMENT + 1)


def test_it_writes_by_itself_and_at_the_end(database: Database) -> None:
    log = UsageLog(database)
    log.note("AIDA1", "iam", call())
    deadline = time.monotonic() + 10
    while last(database, "AIDA1") is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    log.note("AIDA2", "iam", call())
    log.close()
    assert last(database, "AIDA2") is not None


def test_nothing_is_lost_under_many_threads(database: Database, log: UsageLog) -> None:
    def caller(number: int) -> None:
        for step in range(200):
            log.note(f"AIDA{number}", "iam", call(f"Action{step}"))

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        log.flush()
    log.flush()
    with database.read() as connection:
        assert len(list_usages(connection, [f"AIDA{number}" for number in range(4)])) == 800


def test_a_note_costs_next_to_nothing(log: UsageLog) -> None:
    record = call()
    start = time.process_time()
    for _ in range(10_000):
        log.note("AIDA1", "iam", record)
    assert (time.process_time() - start) / 10_000 < 20e-6
