"""Writers at once, in threads and in processes: what one looked at is as it was when it writes."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from realm import racing_writers
from realm.racing_writers import ACCOUNT, KEY_QUOTA, ROUNDS, create_key, create_user, race
from sqlalchemy import func, select

from broker.errors import AlreadyExists, Unavailable
from broker.store.accounts import list_accounts, put_account
from broker.store.audit_events import Appender
from broker.store.engine import Database
from broker.store.tables import access_keys, entities, managed_policies, policy_attachments

OpenStore = Callable[..., Database]
RACES = [["create_user"] * 3, ["create_key"] * 4, ["attach", "delete_policy"] * 2]


def _names(racers: list[str]) -> str:
    return "+".join(dict.fromkeys(racers))


def _check(database: Database, racers: list[str], won: list[int]) -> None:
    """Each object was won once, no quota was exceeded, nothing is attached that is not there."""
    with database.read() as connection:
        if "create_user" in racers:
            made = select(func.count()).select_from(entities).where(entities.c.name.startswith("user-"))
            assert sum(won) == connection.execute(made).scalar_one() == ROUNDS
        if "create_key" in racers:
            held = select(func.count()).select_from(access_keys).group_by(access_keys.c.user_id)
            assert connection.execute(held).scalars().all() == [KEY_QUOTA] * ROUNDS
            assert sum(won) == KEY_QUOTA * ROUNDS
        if "delete_policy" in racers:
            there = set(connection.execute(select(managed_policies.c.arn)).scalars())
            attached = set(connection.execute(select(policy_attachments.c.policy_arn)).scalars())
            assert attached == there  # each was either attached first and stayed, or deleted first


@pytest.mark.parametrize("racers", RACES, ids=_names)
def test_threads(open_store: OpenStore, racers: list[str]) -> None:
    database = open_store()
    racing_writers.prepare(database)
    with ThreadPoolExecutor(len(racers)) as pool:
        won = list(pool.map(lambda job: race(database, job), racers))
    _check(database, racers, won)


@pytest.mark.parametrize("racers", RACES, ids=_names)
def test_processes(open_store: OpenStore, store_url: str, tmp_path: Path, racers: list[str]) -> None:
    """On PostgreSQL each process is a node of its own; on SQLite all are workers of one node."""
    database = open_store()
    racing_writers.prepare(database)
    go = tmp_path / "go"
    processes = []
    for number, job in enumerate(racers):
        directory = tmp_path if database.is_sqlite else tmp_path / f"node-{number}"
        directory.mkdir(exist_ok=True)
        command = [sys.executable, racing_writers.__file__, store_url, str(directory), job, str(go)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    go.touch()
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), outputs
    _check(database, racers, [int(output) for output, _ in outputs])


def test_a_writer_that_does_not_look_is_refused_in_our_words(open_store: OpenStore) -> None:
    """The database has the last word on unique names."""
    database = open_store()
    racing_writers.prepare(database)
    with database.change() as connection:
        create_user(connection, 1)
    with pytest.raises(AlreadyExists) as refusal, database.change() as connection:
        racing_writers._insert_user(connection, "AIDAOTHER", "user-1")
    assert "user-1" not in refusal.value.message


def test_a_reader_has_one_view_and_waits_for_nobody(open_store: OpenStore) -> None:
    database = open_store()
    with database.read() as connection:
        assert list_accounts(connection) == []
        with database.change() as writing:
            put_account(writing, ACCOUNT, "", 0)
            with database.read() as third:
                assert list_accounts(third) == []
        assert list_accounts(connection) == []
    with database.read() as connection:
        assert list_accounts(connection) == [ACCOUNT]


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_the_audit_record_waits_for_no_change(open_store: OpenStore) -> None:
    database = open_store()
    appender = Appender(database)
    started = time.monotonic()
    with database.change() as connection:
        put_account(connection, ACCOUNT, "", 0)
        appender.append(["{}"])
    assert time.monotonic() - started < 2
    appender.close()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_who_cannot_have_a_turn_in_time_is_told_to_come_again(open_store: OpenStore, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    database, other = open_store(), open_store(tmp_path / "other", statement_seconds=0.3)
    racing_writers.prepare(database)
    with database.change() as connection:
        create_key(connection, 0)
        with pytest.raises(Unavailable), other.change():
            raise AssertionError("it is not its turn")
    with other.change() as connection:
        create_key(connection, 0)


def test_migrations_at_once_take_turns(open_store: OpenStore, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    from broker.store.schema import is_current, migrate

    url = "sqlite:///fresh.db"
    if not open_store().is_sqlite:
        server = request.getfixturevalue("postgres")
        url = server.url(server.make_database())
    opened = [Database(url, tmp_path, statement_seconds=60) for _ in range(3)]
    with ThreadPoolExecutor(len(opened)) as pool:
        list(pool.map(migrate, opened))
    assert is_current(opened[0])
    for database in opened:
        database.close()
