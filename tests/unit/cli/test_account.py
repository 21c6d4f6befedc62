"""``accredit account``: made with a root key that is shown once, refused while in use, gone without a trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert, select

from broker.audit.query import tail
from broker.cli import main
from broker.store import tables
from broker.store.engine import Database
from broker.store.entities import Entity, insert_entity
from broker.store.revocations import Revocation, RevocationKind, list_revocations, put_revocation
from broker.store.tables import metadata

FIRST, OTHER = "123456789012", "210987654321"
SUBJECTS = ("AROAOFTHEOTHER", "AIDAOFTHEOTHER")


def accredit(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = accredit("init", tmp_path / "data", "--account-id", FIRST)
    assert made.exit_code == 0, made.output
    return tmp_path / "data"


@pytest.fixture
def database(directory: Path) -> Iterator[Database]:
    opened = Database("sqlite:///accredit.db", directory)
    yield opened
    opened.close()


def create(directory: Path, account: str = OTHER) -> dict[str, str]:
    made = accredit("account", "create", directory, "--account-id", account, "--json")
    assert made.exit_code == 0, made.output
    found: dict[str, str] = json.loads(made.output)
    return found


def names(directory: Path) -> list[str]:
    return [one["account_id"] for one in json.loads(accredit("account", "list", directory, "--json").output)]


def last_event(database: Database) -> dict[str, Any]:
    with database.read() as connection:
        return dict(tail(connection, 1)[-1])


def test_an_account_comes_and_goes(directory: Path, database: Database) -> None:
    made = create(directory)
    assert made["account_id"] == OTHER
    event = last_event(database)
    assert (event["eventName"], event["recipientAccountId"]) == ("CreateAccount", OTHER)
    assert event["requestParameters"] == {"accountId": OTHER, "accessKeyId": made["access_key_id"]}
    assert made["secret_access_key"] not in json.dumps(event)
    assert names(directory) == [FIRST, OTHER]
    gone = accredit("account", "delete", directory, OTHER)
    assert (gone.exit_code, gone.output) == (0, f"deleted account {OTHER}\n")
    event = last_event(database)
    assert (event["eventName"], event["requestParameters"]) == ("DeleteAccount", {"accountId": OTHER, "deleted": {}})
    assert names(directory) == [FIRST]


def test_what_people_read(directory: Path) -> None:
    shown = accredit("account", "create", directory)
    assert "The root access key, shown only now:" in shown.output
    account = shown.output.split()[2].rstrip(".")
    assert len(account) == 12
    assert account[0] != "0"
    listed = accredit("account", "list", directory).output
    assert account in listed
    assert f"{FIRST}  -" in listed
    assert listed.count("declared in accredit.toml") == 1
    assert "secret" not in listed


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("create", "--account-id", "1234"), 2, "an account id has 12 digits"),
        (("create", "--account-id", "12345678901a"), 2, "an account id has 12 digits"),
        (("create", "--account-id", "１２３４５６７８９０１２"), 2, "an account id has 12 digits"),
        (("create", "--account-id", FIRST), 1, f"Account {FIRST} already exists."),
        (("delete", "1234"), 2, "an account id has 12 digits"),
        (("delete", OTHER), 1, f"Account {OTHER} does not exist."),
        (("delete", "--force", OTHER), 1, f"Account {OTHER} does not exist."),
        (("delete", FIRST), 1, f"Account {FIRST} is declared in accredit.toml: take it out there first."),
        (("delete", "--force", FIRST), 1, f"Account {FIRST} is declared in accredit.toml: take it out there first."),
    ],
)
def test_refusals(directory: Path, arguments: tuple[str, ...], status: int, sentence: str) -> None:
    command, *rest = arguments
    done = accredit("account", command, directory, *rest)
    assert done.exit_code == status, done.output
    assert sentence in done.output
    assert names(directory) == [FIRST]


def test_the_last_one_stays(directory: Path) -> None:
    file = directory / "accredit.toml"
    file.write_text(file.read_text().replace(f'[[account]]\nid = "{FIRST}"', ""))
    for force in ((), ("--force",)):
        done = accredit("account", "delete", directory, *force, FIRST)
        assert done.exit_code == 1
        assert f"Account {FIRST} is the last one and cannot be deleted." in done.output


def test_what_is_in_use_goes_by_force_alone(directory: Path, database: Database) -> None:
    """Every table that has a column for the account is filled, and those that hang on them."""
    create(directory)
    fill(database, OTHER)
    before = rows(database, FIRST)
    done = accredit("account", "delete", directory, OTHER)
    assert done.exit_code == 1
    sentence = (
        "users, groups and roles (2), policies (1), instance profiles (1), identity providers (1), MFA devices (1)"
    )
    assert f"Account {OTHER} is not empty: it has {sentence}. --force deletes them too." in done.output
    assert names(directory) == [FIRST, OTHER]

    assert accredit("account", "delete", directory, "--force", OTHER).exit_code == 0
    assert last_event(database)["requestParameters"]["deleted"]["policies"] == 1
    assert rows(database, FIRST) == before
    kept = {name for name, found in rows(database).items() if any(mentions(row) for row in found)}
    assert kept == {"audit_events", "revocations"}
    with database.read() as connection:
        assert [one.value for one in list_revocations(connection)] == ["alice"]


def mentions(row: tuple[object, ...]) -> bool:
    return any(text in str(row) for text in (OTHER, *SUBJECTS))


def rows(database: Database, mentioning: str = "") -> dict[str, list[tuple[object, ...]]]:
    with database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table)) if mentioning in str(row)]
            for table in metadata.sorted_tables
            if not mentioning or table.name != "audit_events"
        }


def fill(database: Database, account: str) -> None:
    """One row of everything, made as the schema asks for it."""
    role, user = SUBJECTS
    policy = f"arn:aws:iam::{account}:policy/p"
    with database.change() as connection:
        for unique_id, kind in ((role, "role"), (user, "user")):
            arn = f"arn:aws:iam::{account}:{kind}/x"
            insert_entity(connection, Entity(unique_id, kind, account, "x", "/", arn, None, {}, False, 0))  # type: ignore[arg-type]
        put_revocation(connection, Revocation(RevocationKind.SOURCE_IDENTITY, account, "", "alice", 0))
        values: dict[str, Any] = {
            "account": account,
            "subject": user,
            "entity_id": user,
            "user_id": user,
            "role_id": role,
            "policy_id": "ANPAOFTHEOTHER",
            "policy_arn": policy,
            "arn": policy,
            "group_id": role,
            "status": "Active",
            "created_at": int(datetime.now(UTC).timestamp()),
        }
        provider = f"arn:aws:iam::{account}:ldap-provider/x"
        ids = {"roles": role, "managed_policies": "ANPAOFTHEOTHER", "access_keys": "AKIAOFTHEOTHER"}
        for table in metadata.sorted_tables:
            if table.name in ("revision", "accounts", "entities", "revocations", "audit_events", "keys"):
                continue
            made = {
                column.name: values.get(column.name, _value(column.type.python_type))
                for column in table.columns
                if column.name != "id" or table.name not in ids
            }
            if table.name in ids:
                made["id"] = ids[table.name]
            if table is tables.identity_providers:
                made["arn"] = provider
            if "provider" in made:
                made["provider"] = provider
            if table is tables.password_attempts:
                made["subject"] = f"user:{user}"
            if table is tables.browser_sessions:
                made["provider"] = None
            if table is tables.favourite_roles:
                made["role_arn"] = f"arn:aws:iam::{account}:role/x"
            connection.execute(insert(table).values(**made))


def _value(kind: type) -> object:
    return {int: 1, str: "x", bytes: b"x", bool: False, object: {}}[kind]
