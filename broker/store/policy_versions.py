"""Versions of managed policies. Their numbers never come again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from broker.store.tables import managed_policies, policy_versions


@dataclass(frozen=True, slots=True)
class Version:
    """One version; ``created_at`` in seconds since the epoch."""

    number: int
    document: str
    created_at: int


def find_version(connection: Connection, policy_id: str, number: int) -> Version | None:
    return next(iter(versions_of(connection, [policy_id], number).get(policy_id, ())), None)


def list_versions(connection: Connection, policy_id: str) -> Sequence[Version]:
    """All of a policy, the newest first."""
    return versions_of(connection, [policy_id]).get(policy_id, ())


def versions_of(
    connection: Connection, policy_ids: Iterable[str], number: int | None = None
) -> Mapping[str, Sequence[Version]]:
    """Of each policy its versions, the newest first; with ``number`` that one alone."""
    table = policy_versions.c
    where: ColumnElement[bool] = table.policy_id.in_(list(policy_ids))
    if number is not None:
        where &= table.version == number
    rows = connection.execute(
        select(table.policy_id, table.version, table.document, table.created_at)
        .where(where)
        .order_by(table.version.desc())
    )
    found: dict[str, list[Version]] = {}
    for policy_id, version, document, created_at in rows:
        found.setdefault(policy_id, []).append(Version(version, document, created_at))
    return found


def count_versions(connection: Connection, policy_id: str) -> int:
    of_policy = select(func.count()).where(policy_versions.c.policy_id == policy_id)
    return int(connection.execute(of_policy).scalar_one())


def insert_version(connection: Connection, policy_id: str, version: Version) -> None:
    values = {"version": version.number, "document": version.document, "created_at": version.created_at}
    connection.execute(insert(policy_versions).values(policy_id=policy_id, **values))


def add_version(connection: Connection, policy_id: str, version: Version) -> None:
    """Add the newest one: the policy counts as updated. Its default version stays."""
    insert_version(connection, policy_id, version)
    _update(connection, policy_id, last_version=version.number, updated_at=version.created_at)


def set_default_version(connection: Connection, policy_id: str, version: Version) -> None:
    """Make it the default one: its document is what decisions read."""
    _update(connection, policy_id, default_version=version.number, document=version.document)


def replace_default_version(connection: Connection, policy_id: str, version: Version) -> None:
    """Give the default version another document, in place."""
    values = {"document": version.document, "created_at": version.created_at}
    connection.execute(update(policy_versions).where(_is(policy_id, version.number)).values(**values))
    _update(connection, policy_id, document=version.document, updated_at=version.created_at)


def delete_version(connection: Connection, policy_id: str, number: int) -> None:
    connection.execute(delete(policy_versions).where(_is(policy_id, number)))


def _update(connection: Connection, policy_id: str, **values: object) -> None:
    connection.execute(update(managed_policies).where(managed_policies.c.id == policy_id).values(**values))


def _is(policy_id: str, number: int) -> ColumnElement[bool]:
    return (policy_versions.c.policy_id == policy_id) & (policy_versions.c.version == number)
