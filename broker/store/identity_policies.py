"""The identity policies that bind an entity: its own, and those of the groups that a user is in."""

from __future__ import annotations

from sqlalchemy import Connection

from broker.store.entities import Kind
from broker.store.entity_policies import PolicyText, get_policies
from broker.store.group_members import list_groups_of


def get_identity_policies(connection: Connection, kind: Kind, entity_id: str, name: str) -> tuple[PolicyText, ...]:
    """All of them, each once: a managed policy may be attached to the user and to its groups."""
    holders: list[tuple[Kind, str, str]] = [(kind, entity_id, name)]
    if kind == "user":
        holders += [(group.kind, group.id, group.name) for group in list_groups_of(connection, entity_id)]
    found: dict[str, PolicyText] = {}
    for holder, holder_id, holder_name in holders:
        attached = get_policies(connection, holder_id, f"{holder}/{holder_name}")
        found.update((policy.name, policy) for policy in (*attached.inline, *attached.managed))
    return tuple(found.values())
