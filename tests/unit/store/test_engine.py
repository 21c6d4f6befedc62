"""The database: durable, all or nothing, and a revision that every change raises."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from broker.errors import AlreadyExists, Conflict
from broker.store.accounts import list_accounts, put_account
from broker.store.engine import Database
from broker.store.schema import is_current, migrate
from broker.store.tables import audit_events, entities, metadata

OpenStore = Callable[..., Database]


def test_every_commit_is_flushed(database: Database) -> None:
    with database.read() as connection:
        if database.is_sqlite:
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        else:
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
            assert connection.execute(text("SHOW fsync")).scalar() == "on"


def test_foreign_keys_are_enforced(database: Database) -> None:
    with pytest.raises(Conflict), database.change() as connection:
        connection.execute(
            insert(entities).values(
                id="AROA1",
                kind="role",
                account="000000000000",
                name="r",
                name_key="r",
                path="/",
                arn="a",
                tags={},
                declared=False,
                created_at=0,
            )
        )


def test_migrations_make_exactly_the_tables(database: Database) -> None:
    assert is_current(database)
    with database.read() as connection:
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    migrate(database)
    assert is_current(database)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_unmigrated_database_is_not_current(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = "sqlite:///empty.db"
    if kind == "postgresql":
        server = request.getfixturevalue("postgres")
        url = server.url(server.make_database())
    empty = Database(url, tmp_path)
    assert not is_current(empty)
    empty.close()


def test_a_failed_change_leaves_nothing(database: Database) -> None:
    before = database.revision()

    def fail() -> None:
        with database.change() as connection:
            put_account(connection, "111111111111", "", 0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.read() as connection:
        assert list_accounts(connection) == []
    assert database.revision() == before


def test_a_change_is_announced_to_other_processes_of_the_node(database: Database, open_store: OpenStore) -> None:
    other = open_store()
    before = other.revision()
    with database.change() as connection:
        put_account(connection, "111111111111", "", 0)
    assert other.revision() == database.revision() != before


def test_poll_learns_of_changes_that_were_not_announced(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE revision SET value = value + 5"))
    before = database.revision()
    database.poll()
    assert database.revision() != before
    after = database.revision()
    database.poll()
    assert database.revision() == after


def test_poll_does_not_take_back_a_change_that_comes_in_between(database: Database, open_store: OpenStore) -> None:
    """Another worker commits and announces after poll has read the store and before it writes what it read."""
    other = open_store()
    database.poll()

    class Interrupted(Database):
        def _stored_revision(self) -> int:
            value = super()._stored_revision()
            workers.append(threading.Thread(target=_add_account, args=(other,)))
            workers[-1].start()
            workers[-1].join(0.5)
            return value

    workers: list[threading.Thread] = []
    with other.write() as connection:  # a change that nobody announced
        connection.execute(text("UPDATE revision SET value = value + 1"))
    polling = open_store(kind=Interrupted)
    polling.poll()
    for worker in workers:
        worker.join()
    with database.read() as connection:
        stored = connection.execute(text("SELECT value FROM revision")).scalar_one()
    assert polling._counter.seen() == other._counter.seen() == stored


def _add_account(database: Database) -> None:
    with database.change() as connection:
        put_account(connection, "222222222222", "", 0)


def test_poll_learns_of_a_restored_older_database(database: Database) -> None:
    """Its changes would go unseen if the counter stayed ahead of it."""
    known = set()
    for _ in range(3):
        with database.change() as connection:
            put_account(connection, "111111111111", "", 0)
        known.add(database.revision())
    with database.write() as connection:
        connection.execute(text("UPDATE revision SET value = 1"))
    database.poll()
    for _ in range(4):  # the same revisions come again, with other contents
        assert database.revision() not in known
        with database.change() as connection:
            put_account(connection, "222222222222", "", 0)


def test_appending_to_the_record_is_no_change(database: Database) -> None:
    before = database.revision()
    with database.write() as connection:
        connection.execute(insert(audit_events).values(event_time=0, record="{}"))
    assert database.revision() == before


def test_writers_take_turns(database: Database) -> None:
    def write(number: int) -> None:
        for step in range(20):
            with database.change() as connection:
                put_account(connection, f"{number:06d}{step:06d}", "", 0)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert len(list_accounts(connection)) == 120


def test_names_are_unique_without_regard_to_case(database: Database) -> None:
    row = {"kind": "role", "account": "111111111111", "path": "/", "tags": {}, "declared": False, "created_at": 0}
    with database.change() as connection:
        put_account(connection, "111111111111", "", 0)
        connection.execute(insert(entities).values(id="AROA1", name="App", name_key="app", arn="one", **row))
    with pytest.raises(AlreadyExists), database.change() as connection:
        connection.execute(insert(entities).values(id="AROA2", name="APP", name_key="app", arn="two", **row))
    with database.read() as connection:
        assert connection.execute(select(entities.c.id)).scalars().all() == ["AROA1"]
