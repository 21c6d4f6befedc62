"""Accounts' password policies, as plain settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from broker.store.tables import password_policies


def find_password_policy(connection: Connection, account: str) -> Mapping[str, Any] | None:
    same = password_policies.c.account == account
    return connection.execute(select(password_policies.c.settings).where(same)).scalar()


def put_password_policy(connection: Connection, account: str, settings: Mapping[str, Any]) -> None:
    """Make it the account's, instead of the one it had."""
    delete_password_policy(connection, account)
    connection.execute(insert(password_policies).values(account=account, settings=dict(settings)))


def delete_password_policy(connection: Connection, account: str) -> bool:
    """Whether there was one."""
    return bool(connection.execute(delete(password_policies).where(password_policies.c.account == account)).rowcount)
