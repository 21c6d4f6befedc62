"""What the policies of a user, group or role allow, or a policy, and whom: where reports of use look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from broker.store.entities import Entity, entities_where, find_entity
from broker.store.entity_policies import get_policies
from broker.store.policies import find_policy, find_policy_owner
from broker.store.tables import entities, group_members, policy_attachments


@dataclass(frozen=True, slots=True)
class Grants:
    """``documents`` allow something to ``holders``, who are users and roles."""

    documents: tuple[str, ...]
    holders: tuple[Entity, ...]
    entity: Entity | None
    """Whose they are; None for a policy by itself."""


def find_grants(connection: Connection, account: str, arn: str) -> Grants | None:
    """Of the user, group, role or managed policy of this ARN, as far as it is of ``account``."""
    entity = find_entity(connection, arn)
    if entity is not None:
        return _of_entity(connection, entity) if entity.account == account else None
    document = find_policy(connection, arn)
    if document is None or find_policy_owner(connection, arn) not in (account, ""):
        return None
    attached = policy_attachments.c.policy_arn == arn
    ids = connection.execute(select(policy_attachments.c.entity_id).where(attached)).scalars()
    return Grants((document,), _holders(connection, account, ids), None)


def _of_entity(connection: Connection, entity: Entity) -> Grants:
    groups = group_members.c.user_id == entity.id
    ids = [entity.id, *connection.execute(select(group_members.c.group_id).where(groups)).scalars()]
    attached = [get_policies(connection, one, "") for one in ids]
    documents = tuple(policy.document for found in attached for policy in (*found.inline, *found.managed))
    return Grants(documents, _holders(connection, entity.account, [entity.id]), entity)


def _holders(connection: Connection, account: str, ids: Iterable[str]) -> tuple[Entity, ...]:
    """Of users, groups and roles: the users, also as members of the groups, and the roles."""
    direct = list(ids)
    members = connection.execute(select(group_members.c.user_id).where(group_members.c.group_id.in_(direct))).scalars()
    wanted = entities.c.id.in_({*direct, *members}) & (entities.c.kind != "group") & (entities.c.account == account)
    return tuple(entities_where(connection, wanted))
