"""Aliases: of one account at most, and kept by an account for which the configuration names none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.errors import ConfigurationError
from broker.store.accounts import find_account, get_alias, put_account, set_alias
from broker.store.engine import Database
from broker.store.schema import migrate

ONE, TWO = "111111111111", "222222222222"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database("sqlite:///accredit.db", tmp_path)
    migrate(made)
    with made.change() as connection:
        put_account(connection, ONE, "", 0)
        put_account(connection, TWO, "two", 0)
    yield made
    made.close()


def test_the_file_that_names_no_alias_takes_none_away(database: Database) -> None:
    with database.change() as connection:
        set_alias(connection, ONE, "one")
        put_account(connection, ONE, "", 0)
        assert (get_alias(connection, ONE), find_account(connection, "one")) == ("one", ONE)
        put_account(connection, ONE, "first", 0)
        assert (get_alias(connection, ONE), find_account(connection, "one")) == ("first", None)
        set_alias(connection, ONE, "")
        assert get_alias(connection, ONE) == ""


@pytest.mark.parametrize("account", [ONE, "333333333333"])
def test_an_alias_is_one_accounts(database: Database, account: str) -> None:
    with database.change() as connection, pytest.raises(ConfigurationError, match="the alias two of account"):
        put_account(connection, account, "two", 0)
