"""Instance profiles' rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select, update

from broker.store.entities import below
from broker.store.tables import instance_profiles


@dataclass(frozen=True, slots=True)
class InstanceProfile:
    """A name for a role, or for none yet. ``created_at`` is in seconds since the epoch."""

    id: str
    account: str
    name: str
    path: str
    arn: str
    role_id: str | None
    tags: Mapping[str, str]
    created_at: int


def find_instance_profile(connection: Connection, account: str, name: str) -> InstanceProfile | None:
    """The one of this name, whatever its case and its path."""
    return _find(connection, _of(account) & (instance_profiles.c.name_key == name.lower()))


def find_instance_profile_by_id(connection: Connection, profile_id: str) -> InstanceProfile | None:
    return _find(connection, instance_profiles.c.id == profile_id)


def find_instance_profiles(
    connection: Connection,
    account: str,
    *,
    path_prefix: str = "/",
    role_id: str | None = None,
    after: str = "",
    limit: int,
) -> list[InstanceProfile]:
    """At most ``limit``, by name, from behind the name ``after`` (in lower case); of one role, if it is given."""
    table = instance_profiles.c
    where = _of(account) & (table.name_key > after) & below(table.path, path_prefix)
    if role_id is not None:
        where &= table.role_id == role_id
    ordered = _select().where(where).order_by(table.name_key).limit(limit)
    return [InstanceProfile(*row) for row in connection.execute(ordered)]


def find_profiles_of_roles(connection: Connection, role_ids: Iterable[str]) -> list[InstanceProfile]:
    """Those that hold one of the roles, by name."""
    ordered = _select().where(instance_profiles.c.role_id.in_(list(role_ids))).order_by(instance_profiles.c.name_key)
    return [InstanceProfile(*row) for row in connection.execute(ordered)]


def count_instance_profiles(connection: Connection, account: str) -> int:
    counted = select(func.count()).select_from(instance_profiles).where(_of(account))
    return int(connection.execute(counted).scalar_one())


def insert_instance_profile(connection: Connection, profile: InstanceProfile) -> None:
    """Make it. The caller has looked that its name is free."""
    connection.execute(
        insert(instance_profiles).values(
            id=profile.id,
            account=profile.account,
            name=profile.name,
            name_key=profile.name.lower(),
            path=profile.path,
            arn=profile.arn,
            role_id=profile.role_id,
            tags=dict(profile.tags),
            created_at=profile.created_at,
        )
    )


def set_instance_profile_role(connection: Connection, profile_id: str, role_id: str | None) -> None:
    _update(connection, profile_id, role_id=role_id)


def set_instance_profile_tags(connection: Connection, profile_id: str, tags: Mapping[str, str]) -> None:
    _update(connection, profile_id, tags=dict(tags))


def delete_instance_profile(connection: Connection, profile_id: str) -> None:
    connection.execute(delete(instance_profiles).where(instance_profiles.c.id == profile_id))


def _update(connection: Connection, profile_id: str, **values: object) -> None:
    connection.execute(update(instance_profiles).where(instance_profiles.c.id == profile_id).values(**values))


def _of(account: str) -> ColumnElement[bool]:
    return instance_profiles.c.account == account


def _find(connection: Connection, where: ColumnElement[bool]) -> InstanceProfile | None:
    row = connection.execute(_select().where(where)).first()
    return None if row is None else InstanceProfile(*row)


def _select() -> Select[Any]:
    table = instance_profiles.c
    return select(
        table.id, table.account, table.name, table.path, table.arn, table.role_id, table.tags, table.created_at
    )
