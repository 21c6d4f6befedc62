"""Who is in which group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, select

from broker.store.entities import Entity, entities_where, select_entities
from broker.store.tables import entities, group_members

_GROUPS_OF = (
    select_entities()
    .where(entities.c.id.in_(select(group_members.c.group_id).where(group_members.c.user_id == bindparam("user"))))
    .order_by(entities.c.name_key)
)


def list_members(connection: Connection, group_id: str, *, after: str = "", limit: int | None = None) -> list[Entity]:
    """The users of a group, by name, from behind the name ``after`` (in lower case)."""
    ids = select(group_members.c.user_id).where(group_members.c.group_id == group_id)
    return list(entities_where(connection, entities.c.id.in_(ids) & (entities.c.name_key > after), limit=limit))


def list_groups_of(connection: Connection, user_id: str) -> Sequence[Entity]:
    """The groups of a user, by name; quotas keep them few."""
    return [Entity(*row) for row in connection.execute(_GROUPS_OF, {"user": user_id})]


def group_names_of(connection: Connection, user_ids: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """Of each user the names of its groups, in order."""
    rows = connection.execute(
        select(group_members.c.user_id, entities.c.name)
        .join_from(group_members, entities, entities.c.id == group_members.c.group_id)
        .where(group_members.c.user_id.in_(list(user_ids)))
        .order_by(entities.c.name_key)
    )
    found: dict[str, list[str]] = {}
    for user_id, name in rows:
        found.setdefault(user_id, []).append(name)
    return found


def count_groups_of(connection: Connection, user_id: str) -> int:
    mine = group_members.c.user_id == user_id
    return int(connection.execute(select(func.count()).select_from(group_members).where(mine)).scalar_one())


def is_member(connection: Connection, group_id: str, user_id: str) -> bool:
    there = select(exists().where(group_members.c.group_id == group_id, group_members.c.user_id == user_id))
    return bool(connection.execute(there).scalar())


def add_member(connection: Connection, group_id: str, user_id: str, now: int) -> None:
    """The caller has looked that it is no member yet."""
    connection.execute(insert(group_members).values(group_id=group_id, user_id=user_id, created_at=now))


def remove_member(connection: Connection, group_id: str, user_id: str) -> None:
    connection.execute(
        delete(group_members).where(group_members.c.group_id == group_id, group_members.c.user_id == user_id)
    )
