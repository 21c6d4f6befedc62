"""Accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Table, delete, func, insert, literal, select, update

from broker.errors import ConfigurationError
from broker.store.tables import (
    access_keys,
    accounts,
    entities,
    favourite_roles,
    identity_providers,
    instance_profiles,
    managed_policies,
    metadata,
    mfa_devices,
    password_attempts,
    policy_attachments,
    revocations,
    usages,
)

_CONTENTS: Mapping[str, Table] = {
    "users, groups and roles": entities,
    "policies": managed_policies,
    "instance profiles": instance_profiles,
    "identity providers": identity_providers,
    "MFA devices": mfa_devices,
}
"""What somebody made in an account; its root key, signing keys and settings do not count."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """``created_at`` is in seconds since the epoch."""

    id: str
    alias: str
    created_at: int


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


def list_account_rows(connection: Connection) -> list[AccountRow]:
    columns = select(accounts.c.id, accounts.c.alias, accounts.c.created_at)
    return [AccountRow(*row) for row in connection.execute(columns.order_by(accounts.c.id))]


def get_created_at(connection: Connection, account: str) -> int:
    """When the account was made, in seconds since the epoch."""
    return int(connection.execute(select(accounts.c.created_at).where(accounts.c.id == account)).scalar_one())


def find_created_at(connection: Connection, account: str) -> int | None:
    """When the account was made; None if there is none."""
    return connection.execute(select(accounts.c.created_at).where(accounts.c.id == account)).scalar()


def account_contents(connection: Connection, account: str) -> dict[str, int]:
    """How many of what there are in the account; what there is none of is left out."""
    counts = {
        what: int(
            connection.execute(select(func.count()).select_from(table).where(table.c.account == account)).scalar_one()
        )
        for what, table in _CONTENTS.items()
    }
    return {what: count for what, count in counts.items() if count}


def delete_account(connection: Connection, account: str) -> None:
    """Delete the account and every row that is its own; what was revoked stays revoked."""
    ids = select(entities.c.id).where(entities.c.account == account)
    keys = select(access_keys.c.id).where(access_keys.c.account == account)
    attempts = select(literal("user:") + entities.c.id).where(entities.c.account == account)
    connection.execute(delete(usages).where(usages.c.subject.in_(ids) | usages.c.subject.in_(keys)))
    connection.execute(delete(password_attempts).where(password_attempts.c.subject.in_(attempts)))
    connection.execute(delete(policy_attachments).where(policy_attachments.c.entity_id.in_(ids)))
    roles = favourite_roles.c.role_arn.startswith(f"arn:aws:iam::{account}:")
    connection.execute(delete(favourite_roles).where(roles))
    for table in reversed(metadata.sorted_tables):  # what refers to other rows before these
        if "account" in table.c and table is not revocations:
            connection.execute(delete(table).where(table.c.account == account))
    connection.execute(delete(accounts).where(accounts.c.id == account))


def get_alias(connection: Connection, account: str) -> str:
    """The account's alias; empty if it has none."""
    return connection.execute(select(accounts.c.alias).where(accounts.c.id == account)).scalar() or ""
