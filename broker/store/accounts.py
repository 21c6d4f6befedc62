"""Accounts."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from broker.errors import ConfigurationError
from broker.store.tables import accounts


def put_account(connection: Connection, account: str, alias: str, now: int) -> None:
    """Make the account, or give it this alias; without one it keeps the alias that it has.

    Raises ConfigurationError if another account has the alias.
    """
    owner = find_account(connection, alias) if alias else None
    if owner not in (None, account):
        raise ConfigurationError(f"the alias {alias} of account {account} is that of account {owner} already")
    if connection.execute(select(accounts.c.id).where(accounts.c.id == account)).first() is None:
        connection.execute(insert(accounts).values(id=account, alias=alias, created_at=now))
    elif alias:
        set_alias(connection, account, alias)


def set_alias(connection: Connection, account: str, alias: str) -> None:
    """Give the account this alias, or (if it is empty) none."""
    connection.execute(update(accounts).where(accounts.c.id == account).values(alias=alias))


def find_account(connection: Connection, alias: str) -> str | None:
    """The account that has this alias."""
    return connection.execute(select(accounts.c.id).where(accounts.c.alias == alias)).scalar()


def list_accounts(connection: Connection) -> list[str]:
    return list(connection.execute(select(accounts.c.id).order_by(accounts.c.id)).scalars())


def get_created_at(connection: Connection, account: str) -> int:
    """When the account was made, in seconds since the epoch."""
    return int(connection.execute(select(accounts.c.created_at).where(accounts.c.id == account)).scalar_one())


def get_alias(connection: Connection, account: str) -> str:
    """The account's alias; empty if it has none."""
    return connection.execute(select(accounts.c.alias).where(accounts.c.id == account)).scalar() or ""
