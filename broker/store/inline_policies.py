"""Inline policies: each belongs to one user, group or role, and goes with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from broker.store.tables import inline_policies


@dataclass(frozen=True, slots=True)
class InlinePolicy:
    """IAM ``PolicyDetail``."""

    policy_name: str
    policy_document: str


def find_inline_policy(connection: Connection, entity_id: str, name: str) -> str | None:
    """The document of the entity's policy of this name."""
    return connection.execute(select(inline_policies.c.document).where(_is(entity_id, name))).scalar()


def list_inline_policy_names(connection: Connection, entity_id: str, *, after: str = "", limit: int) -> list[str]:
    """At most ``limit`` names, from behind ``after``."""
    table = inline_policies.c
    where = (table.entity_id == entity_id) & (table.name > after)
    return list(connection.execute(select(table.name).where(where).order_by(table.name).limit(limit)).scalars())


def inline_policies_of(connection: Connection, entity_ids: Iterable[str]) -> Mapping[str, Sequence[InlinePolicy]]:
    """Of each entity all its policies, by name."""
    table = inline_policies.c
    rows = connection.execute(
        select(table.entity_id, table.name, table.document)
        .where(table.entity_id.in_(list(entity_ids)))
        .order_by(table.name)
    )
    found: dict[str, list[InlinePolicy]] = {}
    for entity_id, name, document in rows:
        found.setdefault(entity_id, []).append(InlinePolicy(name, document))
    return found


def put_inline_policy(connection: Connection, entity_id: str, name: str, document: str) -> None:
    """Make the policy, or replace the one of that name."""
    if find_inline_policy(connection, entity_id, name) is None:
        connection.execute(insert(inline_policies).values(entity_id=entity_id, name=name, document=document))
    else:
        connection.execute(update(inline_policies).where(_is(entity_id, name)).values(document=document))


def delete_inline_policy(connection: Connection, entity_id: str, name: str) -> None:
    connection.execute(delete(inline_policies).where(_is(entity_id, name)))


def _is(entity_id: str, name: str) -> ColumnElement[bool]:
    return (inline_policies.c.entity_id == entity_id) & (inline_policies.c.name == name)
