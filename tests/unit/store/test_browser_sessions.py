"""What the pages keep, on both stores: sessions, tickets, passkeys, recovery codes, favourites."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import IntegrityError

from broker.errors import AlreadyExists
from broker.store.accounts import put_account
from broker.store.browser_sessions import (
    SessionRow,
    delete_over_sessions,
    delete_session,
    delete_subject_sessions,
    find_session,
    find_session_by_handle,
    insert_session,
    list_account_sessions,
    list_user_sessions,
    touch_session,
)
from broker.store.engine import Database
from broker.store.entities import Entity, delete_entity, insert_entity
from broker.store.favourite_roles import find_marks, note_use, put_favourite
from broker.store.passkeys import (
    Passkey,
    count_recovery_codes,
    find_passkey,
    insert_passkey,
    replace_recovery_codes,
    use_passkey,
    use_recovery_code,
)
from broker.tickets import Tickets

ACCOUNT, USER = "123456789012", "AIDAANN"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Content(msgspec.Struct):
    text: str


@pytest.fixture
def store(database: Database) -> Database:
    """With an account and a user."""
    arn = f"arn:aws:iam::{ACCOUNT}:user/ann"
    with database.change() as connection:
        put_account(connection, ACCOUNT, "", 0)
        insert_entity(connection, Entity(USER, "user", ACCOUNT, "ann", "/", arn, None, {}, False, 0))
    return database


def session(**more: Any) -> SessionRow:
    row = SessionRow("d", "h", ACCOUNT, USER, None, None, None, None, "pwd", 1, None, 1, 1, 100, "192.0.2.1", "Firefox")
    return replace(row, **more)


def test_sessions_are_kept_found_and_ended(store: Database) -> None:
    with store.write() as connection:
        insert_session(connection, session())
        insert_session(
            connection,
            session(digest="e", handle="i", user_id=None, provider="arn:p", subject_digest="s", sealed_identity=b"x"),
        )
    with store.read() as connection:
        assert find_session(connection, "d") == session()
        assert find_session_by_handle(connection, "h") == session()
        assert [one.handle for one in list_user_sessions(connection, USER)] == ["h"]
        assert {one.handle for one in list_account_sessions(connection, ACCOUNT, 10)} == {"h", "i"}
    with store.write() as connection:
        touch_session(connection, "d", 50)
        assert delete_subject_sessions(connection, "arn:p", "s", "other index") == 0
        assert delete_subject_sessions(connection, "arn:p", "s") == 1
        delete_over_sessions(connection, now=60, seen_before=40)
        assert delete_session(connection, "d")
        assert not delete_session(connection, "d")


@pytest.mark.parametrize("more", [{"provider": "arn:p"}, {"user_id": None}], ids=["two-people", "nobody"])
def test_a_session_is_one_persons(store: Database, more: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), store.write() as connection:
        insert_session(connection, session(**more))


def test_what_is_a_users_goes_with_the_user(store: Database) -> None:
    with store.change() as connection:
        insert_session(connection, session())
        insert_passkey(connection, Passkey("c", USER, "key", b"k", 0, ["usb"], 1))
        replace_recovery_codes(connection, USER, ["a", "b"], 1)
        delete_entity(connection, USER)
    with store.read() as connection:
        assert find_session(connection, "d") is None
        assert find_passkey(connection, USER, "c") is None
        assert count_recovery_codes(connection, USER) == 0


def test_a_ticket_is_used_once_by_one_of_many(store: Database) -> None:
    tickets = Tickets(store, b"m" * 32)
    value = tickets.put("kind", ACCOUNT, Content("x"), NOW, timedelta(minutes=5))
    assert tickets.look("other", value, Content, NOW) is None
    assert tickets.look("kind", value, Content, NOW + timedelta(minutes=5)) is None
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: tickets.take("kind", value, Content, NOW), range(16)))
    assert [one for one in taken if one is not None] == [Content("x")]


def test_a_recovery_code_is_used_once_by_one_of_many(store: Database) -> None:
    with store.write() as connection:
        replace_recovery_codes(connection, USER, ["a", "b"], 1)

    def use(_: int) -> bool:
        with store.write() as connection:
            return use_recovery_code(connection, USER, "a")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(16))).count(True) == 1


def test_a_passkeys_counter_moves_once(store: Database) -> None:
    key = Passkey("c", USER, "key", b"k", 3, [], 1)
    with store.write() as connection:
        insert_passkey(connection, key)
        assert use_passkey(connection, key, 4, 2)
        assert not use_passkey(connection, key, 4, 2)
    with pytest.raises(AlreadyExists), store.write() as connection:
        insert_passkey(connection, key)


def test_marks_of_roles(store: Database) -> None:
    with store.write() as connection:
        put_favourite(connection, "p", "arn:r", True)
        note_use(connection, "p", "arn:r", 7)
        note_use(connection, "p", "arn:s", 8)
        marks = find_marks(connection, "p")
    assert (marks["arn:r"].favourite, marks["arn:r"].used_at) == (True, 7)
    assert (marks["arn:s"].favourite, marks["arn:s"].used_at) == (False, 8)
