"""The policies of users, groups and roles: inline and attached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select

from broker.store.tables import inline_policies, managed_policies, policy_attachments

_INLINE = (
    select(inline_policies.c.name, inline_policies.c.document)
    .where(inline_policies.c.entity_id == bindparam("entity"))
    .order_by(inline_policies.c.name)
)
_MANAGED = (
    select(managed_policies.c.arn, managed_policies.c.document)
    .join(policy_attachments, policy_attachments.c.policy_arn == managed_policies.c.arn)
    .where(policy_attachments.c.entity_id == bindparam("entity"))
    .order_by(managed_policies.c.arn)
)


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy document and how explanations call it."""

    name: str
    document: str


@dataclass(frozen=True, slots=True)
class Attached:
    """The identity policies of an entity."""

    inline: tuple[PolicyText, ...]
    managed: tuple[PolicyText, ...]


def replace_policies(
    connection: Connection, entity_id: str, *, inline: Mapping[str, str], attached: tuple[str, ...]
) -> None:
    """Make exactly these the entity's policies."""
    connection.execute(delete(inline_policies).where(inline_policies.c.entity_id == entity_id))
    connection.execute(delete(policy_attachments).where(policy_attachments.c.entity_id == entity_id))
    for name, document in inline.items():
        connection.execute(insert(inline_policies).values(entity_id=entity_id, name=name, document=document))
    for arn in attached:
        connection.execute(insert(policy_attachments).values(entity_id=entity_id, policy_arn=arn))


def get_policies(connection: Connection, entity_id: str, label: str) -> Attached:
    """The policies of an entity; ``label`` (``role/NAME``) begins the inline policies' names."""
    inline = connection.execute(_INLINE, {"entity": entity_id})
    managed = connection.execute(_MANAGED, {"entity": entity_id})
    return Attached(
        tuple(PolicyText(f"{label} inline policy {name}", document) for name, document in inline),
        tuple(PolicyText(arn, document) for arn, document in managed),
    )
