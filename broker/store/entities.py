"""What roles and users have in common: identity, attached and inline policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from broker.store.tables import entities, inline_policies, managed_policies, policy_attachments


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


def put_entity(
    connection: Connection,
    *,
    new_id: str,
    kind: str,
    account: str,
    name: str,
    path: str,
    arn: str,
    permissions_boundary: str | None,
    tags: Mapping[str, str],
    declared: bool,
    now: int,
) -> str:
    """Make the entity, or bring the one of that name to this state; its unique id either way."""
    key = name.lower()
    found = connection.execute(
        select(entities.c.id).where(entities.c.account == account, entities.c.kind == kind, entities.c.name_key == key)
    ).scalar()
    values = {
        "name": name,
        "path": path,
        "arn": arn,
        "permissions_boundary": permissions_boundary,
        "tags": dict(tags),
        "declared": declared,
    }
    if found is not None:
        connection.execute(update(entities).where(entities.c.id == found).values(**values))
        return str(found)
    connection.execute(
        insert(entities).values(id=new_id, kind=kind, account=account, name_key=key, created_at=now, **values)
    )
    return new_id


def find_unique_id(connection: Connection, arn: str) -> str | None:
    """The unique id of the user or role of exactly this ARN."""
    return connection.execute(select(entities.c.id).where(entities.c.arn == arn)).scalar()


def find_arn(connection: Connection, unique_id: str) -> str | None:
    """The ARN of the user or role of this unique id."""
    return connection.execute(select(entities.c.arn).where(entities.c.id == unique_id)).scalar()


def delete_declared_entities(connection: Connection, *, keep: Iterable[str]) -> list[str]:
    """Delete what was declared once and is not among the unique ids ``keep``; the ARNs of what went.

    Their policies' attachments and their access keys go with them.
    """
    gone = entities.c.declared & entities.c.id.not_in(list(keep))
    arns = list(connection.execute(select(entities.c.arn).where(gone).order_by(entities.c.arn)).scalars())
    connection.execute(delete(entities).where(gone))
    return arns


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
    inline = connection.execute(
        select(inline_policies.c.name, inline_policies.c.document)
        .where(inline_policies.c.entity_id == entity_id)
        .order_by(inline_policies.c.name)
    )
    managed = connection.execute(
        select(managed_policies.c.arn, managed_policies.c.document)
        .join(policy_attachments, policy_attachments.c.policy_arn == managed_policies.c.arn)
        .where(policy_attachments.c.entity_id == entity_id)
        .order_by(managed_policies.c.arn)
    )
    return Attached(
        tuple(PolicyText(f"{label} inline policy {name}", document) for name, document in inline),
        tuple(PolicyText(arn, document) for arn, document in managed),
    )
