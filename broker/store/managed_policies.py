"""Managed policies as objects of their own: those of an account, and those of ``aws`` that the product brings along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, or_, select, union_all, update

from broker.store.entities import below
from broker.store.policy_usage import Usage, in_use
from broker.store.policy_versions import Version, insert_version
from broker.store.tables import managed_policies

Owner = Literal["account", "product"]
OWNERS: tuple[Owner, ...] = ("account", "product")


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """A managed policy without its documents. ``account`` is empty for those that the product brings along.

    Times are in seconds since the epoch; ``updated_at`` is when the newest version was made.
    """

    id: str
    account: str
    name: str
    path: str
    arn: str
    description: str
    tags: Mapping[str, str]
    default_version: int
    last_version: int
    declared: bool
    created_at: int
    updated_at: int

    @property
    def sort_key(self) -> str:
        """By name; of the same name, the product's comes first. No name has a slash in it."""
        return f"{self.name.lower()}/{self.account}"


def find_managed_policy(connection: Connection, arn: str) -> PolicyRecord | None:
    """The one of exactly this ARN (with its path, in its case)."""
    return _find(connection, managed_policies.c.arn == arn)


def find_managed_policy_by_name(connection: Connection, account: str, name: str) -> PolicyRecord | None:
    """The account's own of this name, whatever its case and its path."""
    table = managed_policies.c
    return _find(connection, (table.account == account) & (table.name_key == name.lower()))


def list_managed_policies(
    connection: Connection,
    account: str,
    *,
    owners: tuple[Owner, ...] = OWNERS,
    path_prefix: str = "/",
    usages: tuple[Usage, ...] = (),
    after: str = "",
    limit: int,
) -> list[PolicyRecord]:
    """At most ``limit`` of those that ``account`` can use, from behind the sort key ``after``.

    With ``usages``: those that the account uses in one of these ways.
    """
    parts = [
        select(_part(account, "" if owner == "product" else account, path_prefix, usages, after, limit).subquery())
        for owner in owners
    ]
    found = union_all(*parts).subquery()
    ordered = select(found).order_by(found.c.name_key, found.c.owner).limit(limit)
    return [_record(row[:-1]) for row in connection.execute(ordered)]


def count_managed_policies(connection: Connection, account: str) -> int:
    """The account's own."""
    of_account = select(func.count()).where(managed_policies.c.account == account)
    return int(connection.execute(of_account).scalar_one())


def insert_managed_policy(connection: Connection, policy: PolicyRecord, document: str) -> None:
    """Make it, with its first version. The caller has looked that its name is free."""
    connection.execute(
        insert(managed_policies).values(
            id=policy.id,
            account=policy.account or None,
            name=policy.name,
            name_key=policy.name.lower(),
            path=policy.path,
            arn=policy.arn,
            document=document,
            description=policy.description,
            tags=dict(policy.tags),
            default_version=policy.default_version,
            last_version=policy.last_version,
            declared=policy.declared,
            created_at=policy.created_at,
            updated_at=policy.updated_at,
        )
    )
    insert_version(connection, policy.id, Version(policy.default_version, document, policy.created_at))


def set_policy_tags(connection: Connection, policy_id: str, tags: Mapping[str, str]) -> None:
    connection.execute(update(managed_policies).where(managed_policies.c.id == policy_id).values(tags=dict(tags)))


def delete_managed_policy(connection: Connection, policy_id: str) -> None:
    """Delete it with its versions. The caller has looked that nobody uses it."""
    connection.execute(delete(managed_policies).where(managed_policies.c.id == policy_id))


def _part(account: str, owner: str, path_prefix: str, usages: tuple[Usage, ...], after: str, limit: int) -> Select[Any]:
    """Those of one owner: the index has them in this order, so that a page costs the same wherever it starts."""
    name, _, last_owner = after.partition("/")
    table = managed_policies.c
    where = table.account.is_(None) if owner == "" else table.account == owner
    where &= table.name_key >= name if owner > last_owner else table.name_key > name
    where &= below(table.path, path_prefix)
    if usages:
        where &= or_(*(in_use(table.arn, account, usage) for usage in usages))
    return _select().add_columns(table.name_key).where(where).order_by(table.name_key).limit(limit)


def _find(connection: Connection, where: ColumnElement[bool]) -> PolicyRecord | None:
    row = connection.execute(_select().where(where)).first()
    return None if row is None else _record(row)


def _record(row: Sequence[Any]) -> PolicyRecord:
    return PolicyRecord(*row)


def _select() -> Select[Any]:
    table = managed_policies.c
    return select(
        table.id,
        func.coalesce(table.account, "").label("owner"),
        table.name,
        table.path,
        table.arn,
        table.description,
        table.tags,
        table.default_version,
        table.last_version,
        table.declared,
        table.created_at,
        table.updated_at,
    )
