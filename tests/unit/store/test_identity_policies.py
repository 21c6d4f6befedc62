"""What binds an entity: its own policies, and of a user those of its groups, each once and under its holder's name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from broker.store.accounts import put_account
from broker.store.engine import Database
from broker.store.entities import Entity, Kind, delete_declared_entities, find_arns, insert_entity
from broker.store.entity_policies import replace_policies
from broker.store.group_members import add_member, list_groups_of, list_members, remove_member
from broker.store.identity_policies import get_identity_policies
from broker.store.policies import put_policy

ACCOUNT = "123456789012"
SHARED = f"arn:aws:iam::{ACCOUNT}:policy/shared"


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.change() as opened:
        put_account(opened, ACCOUNT, "", 0)
        put_policy(
            opened,
            new_id="ANPA1",
            account=ACCOUNT,
            name="shared",
            path="/",
            arn=SHARED,
            document="{shared}",
            declared=False,
            now=0,
        )
        yield opened


def make(
    connection: Connection, kind: Kind, name: str, *, shared: bool = False, declared: bool = False, **inline: str
) -> str:
    unique_id = f"{kind}-{name}"
    arn = f"arn:aws:iam::{ACCOUNT}:{kind}/{name}"
    insert_entity(connection, Entity(unique_id, kind, ACCOUNT, name, "/", arn, None, {}, declared, 0))
    replace_policies(connection, unique_id, inline=inline, attached=(SHARED,) if shared else ())
    return unique_id


def names(connection: Connection, kind: Kind, name: str) -> list[str]:
    return [policy.name for policy in get_identity_policies(connection, kind, f"{kind}-{name}", name)]


def test_a_user_has_its_own_and_its_groups_policies(connection: Connection) -> None:
    user = make(connection, "user", "u", own="{}")
    for name in ("zeta", "Alpha"):
        add_member(connection, make(connection, "group", name, own="{}"), user, 0)
    make(connection, "group", "stranger", own="{}")
    assert names(connection, "user", "u") == [
        "user/u inline policy own",
        "group/Alpha inline policy own",
        "group/zeta inline policy own",
    ]


def test_what_is_attached_twice_counts_once(connection: Connection) -> None:
    user = make(connection, "user", "u", shared=True)
    for name in ("a", "b"):
        add_member(connection, make(connection, "group", name, shared=True), user, 0)
    assert names(connection, "user", "u") == [SHARED]


def test_a_group_and_a_role_have_their_own_alone(connection: Connection) -> None:
    group = make(connection, "group", "g", own="{}")
    add_member(connection, group, make(connection, "user", "u", own="{}"), 0)
    make(connection, "role", "u", own="{}")
    assert names(connection, "group", "g") == ["group/g inline policy own"]
    assert names(connection, "role", "u") == ["role/u inline policy own"]


def test_who_left_has_them_no_more(connection: Connection) -> None:
    user, group = make(connection, "user", "u"), make(connection, "group", "g", own="{}")
    add_member(connection, group, user, 0)
    remove_member(connection, group, user)
    assert names(connection, "user", "u") == []
    assert (list_members(connection, group), list(list_groups_of(connection, user))) == ([], [])


def test_a_declared_user_leaves_its_groups_when_it_goes(connection: Connection) -> None:
    user, group = make(connection, "user", "u", declared=True), make(connection, "group", "g")
    add_member(connection, group, user, 0)
    delete_declared_entities(connection, keep=[])
    assert list_members(connection, group) == []


def test_more_ids_than_one_query_takes(connection: Connection) -> None:
    ids = [make(connection, "role", f"r{number}") for number in range(3)]
    asked = [ids[0], *(f"none-{number}" for number in range(2_500)), ids[1], ids[2]]
    assert find_arns(connection, asked) == {one: f"arn:aws:iam::{ACCOUNT}:role/{one[5:]}" for one in ids}
    assert find_arns(connection, []) == {}
