"""Who uses a managed policy: users, groups and roles that it is attached to, and those that it bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, delete, exists, func, insert, or_, select

from broker.store.entities import Entity, Kind, below, select_entities
from broker.store.tables import entities, managed_policies, policy_attachments

Usage = Literal["PermissionsPolicy", "PermissionsBoundary"]
USAGES: tuple[Usage, ...] = ("PermissionsPolicy", "PermissionsBoundary")


@dataclass(frozen=True, slots=True)
class AttachedPolicy:
    """IAM ``AttachedPolicy``: a managed policy as what it is attached to shows it."""

    policy_name: str
    policy_arn: str

    @property
    def sort_key(self) -> str:
        """By name; an account's own and one of ``aws`` may have the same."""
        return f"{self.policy_name.lower()}/{self.policy_arn.split(':')[4]}"


def is_attached(connection: Connection, entity_id: str, arn: str) -> bool:
    return bool(connection.execute(select(exists().where(_attachment(entity_id, arn)))).scalar())


def attach(connection: Connection, entity_id: str, arn: str) -> None:
    """Attach a policy that is there and is not attached yet."""
    connection.execute(insert(policy_attachments).values(entity_id=entity_id, policy_arn=arn))


def detach(connection: Connection, entity_id: str, arn: str) -> None:
    connection.execute(delete(policy_attachments).where(_attachment(entity_id, arn)))


def count_attached(connection: Connection, entity_id: str) -> int:
    """How many policies are attached to the entity."""
    of_entity = select(func.count()).where(policy_attachments.c.entity_id == entity_id)
    return int(connection.execute(of_entity).scalar_one())


def attached_policies(
    connection: Connection, entity_ids: Iterable[str], path_prefix: str = "/"
) -> Mapping[str, Sequence[AttachedPolicy]]:
    """Of each entity the policies that are attached to it, in their sort keys' order: few, a quota says how many."""
    found: dict[str, list[AttachedPolicy]] = {}
    rows = connection.execute(
        select(policy_attachments.c.entity_id, managed_policies.c.name, managed_policies.c.arn)
        .join_from(policy_attachments, managed_policies)
        .where(policy_attachments.c.entity_id.in_(list(entity_ids)), below(managed_policies.c.path, path_prefix))
    )
    for entity_id, name, arn in rows:
        found.setdefault(entity_id, []).append(AttachedPolicy(name, arn))
    return {entity_id: sorted(policies, key=lambda one: one.sort_key) for entity_id, policies in found.items()}


def attachment_counts(connection: Connection, account: str, arns: Sequence[str]) -> Mapping[str, int]:
    """How many of the account's entities each policy is attached to; those of none are left out."""
    return _counts(
        connection,
        select(policy_attachments.c.policy_arn, func.count())
        .where(policy_attachments.c.policy_arn.in_(arns), _of_account(account))
        .group_by(policy_attachments.c.policy_arn),
    )


def boundary_counts(connection: Connection, account: str, arns: Sequence[str]) -> Mapping[str, int]:
    """How many of the account's entities each policy bounds; those of none are left out."""
    return _counts(
        connection,
        select(entities.c.permissions_boundary, func.count())
        .where(entities.c.account == account, entities.c.permissions_boundary.in_(arns))
        .group_by(entities.c.permissions_boundary),
    )


def entities_using(
    connection: Connection,
    account: str,
    arn: str,
    *,
    kinds: Sequence[Kind],
    usages: Sequence[Usage] = USAGES,
    path_prefix: str = "/",
    after: tuple[str, str] = ("", ""),
    limit: int,
) -> list[Entity]:
    """At most ``limit`` of the account's that use the policy, by kind and name, from behind ``after``."""
    table = entities.c
    kind, name = after
    where = (
        (table.account == account)
        & table.kind.in_(kinds)
        & below(table.path, path_prefix)
        & or_(*(_uses(usage, arn) for usage in usages))
        & or_(table.kind > kind, (table.kind == kind) & (table.name_key > name))
    )
    ordered = select_entities().where(where).order_by(table.kind, table.name_key).limit(limit)
    return [Entity(*row) for row in connection.execute(ordered)]


def in_use(arn: ColumnElement[str], account: str, usage: Usage) -> ColumnElement[bool]:
    """Whether the policy of the enclosing query's row is used by somebody of the account."""
    if usage == "PermissionsBoundary":
        return exists().where(entities.c.permissions_boundary == arn, entities.c.account == account)
    return exists().where(policy_attachments.c.policy_arn == arn, _of_account(account))


def _uses(usage: Usage, arn: str) -> ColumnElement[bool]:
    """Whether the entity of the row uses the policy in this way."""
    if usage == "PermissionsBoundary":
        return entities.c.permissions_boundary == arn
    return exists().where(policy_attachments.c.entity_id == entities.c.id, policy_attachments.c.policy_arn == arn)


def _of_account(account: str) -> ColumnElement[bool]:
    """Whether what the row attaches to is the account's: asked of few rows, so never joined from the other side."""
    return exists().where(entities.c.id == policy_attachments.c.entity_id, entities.c.account == account)


def _attachment(entity_id: str, arn: str) -> ColumnElement[bool]:
    return (policy_attachments.c.entity_id == entity_id) & (policy_attachments.c.policy_arn == arn)


def _counts(connection: Connection, query: Select[Any]) -> Mapping[str, int]:
    return {str(arn): int(count) for arn, count in connection.execute(query)}
