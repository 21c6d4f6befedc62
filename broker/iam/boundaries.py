"""Permissions boundaries: managed policies that limit what an entity's own policies can allow.

IAM User Guide, "Permissions boundaries for IAM entities". A boundary is put and removed under actions of their own, and
``iam:PermissionsBoundary`` lets a policy say which one: so who is bounded cannot widen it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from broker.authorization import Context
from broker.errors import NotFound
from broker.iam.changes import record_change
from broker.iam.named import authorized_entity, changeable
from broker.services import Caller, Services
from broker.store.entities import Entity, Kind, set_permissions_boundary
from broker.store.policies import find_policy_owner


@dataclass(frozen=True, slots=True)
class AttachedBoundary:
    """IAM ``AttachedPermissionsBoundary``."""

    permissions_boundary_arn: str
    permissions_boundary_type: str = "Policy"


def boundary_of(entity: Entity) -> AttachedBoundary | None:
    return None if entity.permissions_boundary is None else AttachedBoundary(entity.permissions_boundary)


def boundary_context(policy_arn: str | None) -> Context:
    """The condition key of a request that sets a boundary."""
    return {} if policy_arn is None else {"iam:PermissionsBoundary": (policy_arn,)}


def check_boundary(connection: Connection, account: str, policy_arn: str | None) -> None:
    """Raises NotFound unless it is a managed policy of the account, or one that the product brings along."""
    if policy_arn is not None and find_policy_owner(connection, policy_arn) not in (account, ""):
        raise NotFound(f"Scope ARN: {policy_arn} does not exist or is not attachable.")


def put_boundary(services: Services, caller: Caller, action: str, kind: Kind, name: str, policy_arn: str) -> None:
    """Limit the entity, instead of by the boundary it had. Raises NotFound."""
    entity = authorized_entity(services, caller, action, kind, name, boundary_context(policy_arn))
    with services.database.change() as connection:
        changeable(connection, entity)
        check_boundary(connection, entity.account, policy_arn)
        set_permissions_boundary(connection, entity.id, policy_arn)
        record_change(connection, caller)


def remove_boundary(services: Services, caller: Caller, action: str, kind: Kind, name: str) -> None:
    """Take the limit away. Raises NotFound if there is none."""
    entity = authorized_entity(services, caller, action, kind, name)
    with services.database.change() as connection:
        if changeable(connection, entity).permissions_boundary is None:
            raise NotFound(f"The {kind} {entity.name} has no permissions boundary.")
        set_permissions_boundary(connection, entity.id, None)
        record_change(connection, caller)
