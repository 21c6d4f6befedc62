"""Changes that wait for one another share a commit: all of it counts, or nothing, and a failure is nobody else's."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event

from broker.errors import AlreadyExists, Unavailable
from broker.store.accounts import list_accounts, put_account
from broker.store.engine import Database
from broker.store.shared_changes import SharedChanges
from broker.store.tables import accounts


class Commits:
    """How many transactions were committed that wrote something."""

    def __init__(self, database: Database) -> None:
        self.count = 0
        event.listen(database.engine, "commit", self._committed)

    def _committed(self, connection: Connection) -> None:
        if connection.get_execution_options().get("writes"):
            self.count += 1


def _name(number: int) -> str:
    return f"{number:012d}"


def _listed(database: Database) -> set[str]:
    with database.read() as connection:
        return set(list_accounts(connection))


def _together(database: Database, works: list[Callable[[], None]]) -> list[BaseException]:
    """Run these at once, behind a change that holds the turn until all of them wait; what was raised."""
    raised: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  # for the test to look at
            raised.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]

    def lead() -> None:
        with database.change() as connection:
            put_account(connection, _name(0), "", 0)
            for thread in threads:
                thread.start()
            while database._changes._waiting < len(threads):
                time.sleep(0.001)

    run(lead)
    for thread in threads:
        thread.join()
    return raised


def _put(database: Database, number: int) -> Callable[[], None]:
    def work() -> None:
        with database.change() as connection:
            put_account(connection, _name(number), "", 0)
        assert _name(number) in _listed(database)  # committed when it returns

    return work


def test_those_who_wait_share_a_commit(database: Database) -> None:
    commits = Commits(database)
    before = database.revision()
    assert _together(database, [_put(database, number) for number in range(1, 9)]) == []
    assert _listed(database) == {_name(number) for number in range(9)}
    assert commits.count == 1
    assert database.revision() != before


def test_a_change_by_itself_is_a_transaction_of_its_own(database: Database) -> None:
    commits = Commits(database)
    for number in range(3):
        _put(database, number)()
    assert commits.count == 3


@pytest.mark.parametrize("error", [ZeroDivisionError, AlreadyExists])
def test_one_that_fails_is_taken_back_alone(database: Database, error: type[Exception]) -> None:
    def fail() -> None:
        with database.change() as connection:
            put_account(connection, _name(90), "", 0)
            if error is ZeroDivisionError:
                raise ZeroDivisionError
            connection.execute(accounts.insert().values(id=_name(0), created_at=0))

    works = [_put(database, 1), fail, _put(database, 2), fail, _put(database, 3)]
    assert [type(found) for found in _together(database, works)] == [error, error]
    assert _listed(database) == {_name(number) for number in range(4)}


def test_the_first_that_fails_leaves_its_turn_to_the_others(database: Database) -> None:
    def fail() -> None:
        with database.change() as connection:
            put_account(connection, _name(9), "", 0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert _together(database, [_put(database, 1), _put(database, 2)]) == []
    assert _listed(database) == {_name(0), _name(1), _name(2)}


def test_a_commit_that_fails_is_everybodys_failure(database: Database) -> None:
    @contextmanager
    def begin() -> Iterator[Connection]:
        with database._changing() as connection:
            yield connection
            raise Unavailable("the disk is full")

    database._changes = SharedChanges(begin)
    raised = _together(database, [_put(database, 1), _put(database, 2)])
    assert [str(error) for error in raised] == ["the disk is full"] * 3
    assert _listed(database) == set()
    database._changes = SharedChanges(database._changing)
    _put(database, 3)()
    assert _listed(database) == {_name(3)}


def test_a_transaction_that_cannot_begin_holds_no_turn(database: Database) -> None:
    @contextmanager
    def begin() -> Iterator[Connection]:
        raise Unavailable("no connection")
        yield  # pragma: no cover  # makes it a generator

    changes = SharedChanges(begin)
    for _ in range(2):
        with pytest.raises(Unavailable), changes.change():
            pass


def test_many_threads_lose_and_double_nothing(database: Database) -> None:
    done: list[str] = []

    def work(thread: int) -> None:
        for step in range(25):
            name = _name(thread * 100 + step)
            try:
                with database.change() as connection:
                    put_account(connection, name, "", 0)
                    if step % 5 == 0:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                continue
            done.append(name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _listed(database) == set(done)
    assert len(done) == 6 * 20
