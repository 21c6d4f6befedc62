"""Managed policies attached to users, groups and roles: one way to attach, to detach and to list.

``iam:PolicyARN`` lets a policy say which ones may be attached (IAM User Guide, "Controlling access to policies").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from broker.authorization import Context
from broker.errors import NotFound
from broker.iam.changes import record_change
from broker.iam.named import authorized_entity, changeable
from broker.iam.named_policies import check_policy_arn, missing_policy
from broker.iam.pages import page_within
from broker.policy.quotas import check_attached_policies
from broker.services import Caller, Services
from broker.store.entities import Kind
from broker.store.policies import find_policy_owner
from broker.store.policy_usage import AttachedPolicy, attach, attached_policies, count_attached, detach, is_attached


@dataclass(frozen=True, slots=True)
class AttachedPolicyList:
    """IAM ``ListAttachedUserPoliciesResponse`` and its like."""

    attached_policies: Sequence[AttachedPolicy]
    is_truncated: bool
    marker: str | None


def attach_policy(services: Services, caller: Caller, action: str, kind: Kind, name: str, policy_arn: str) -> None:
    """Attach the policy; attaching it again changes nothing. Raises NotFound, LimitExceeded."""
    check_policy_arn(policy_arn)
    entity = authorized_entity(services, caller, action, kind, name, _policy_context(policy_arn))
    with services.database.change() as connection:
        changeable(connection, entity)
        _check_attachable(connection, entity.account, policy_arn)
        if not is_attached(connection, entity.id, policy_arn):
            limit = services.settings.quotas.attached_policies
            check_attached_policies(kind, count_attached(connection, entity.id) + 1, limit)
            attach(connection, entity.id, policy_arn)
        record_change(connection, caller)


def detach_policy(services: Services, caller: Caller, action: str, kind: Kind, name: str, policy_arn: str) -> None:
    """Take the policy away from the entity. Raises NotFound if it is not attached."""
    check_policy_arn(policy_arn)
    entity = authorized_entity(services, caller, action, kind, name, _policy_context(policy_arn))
    with services.database.change() as connection:
        changeable(connection, entity)
        if not is_attached(connection, entity.id, policy_arn):
            raise missing_policy(policy_arn)
        detach(connection, entity.id, policy_arn)
        record_change(connection, caller)


def list_attached(
    services: Services,
    caller: Caller,
    action: str,
    kind: Kind,
    name: str,
    path_prefix: str,
    marker: str | None,
    max_items: int | None,
) -> AttachedPolicyList:
    """A page of the attached policies whose path begins with ``path_prefix``, by name."""
    entity = authorized_entity(services, caller, action, kind, name)
    with services.database.read() as connection:
        found = attached_policies(connection, [entity.id], path_prefix).get(entity.id, ())
    page = page_within(found, lambda policy: policy.sort_key, marker, max_items)
    return AttachedPolicyList(page.items, page.is_truncated, page.marker)


def _policy_context(policy_arn: str) -> Context:
    return {"iam:PolicyARN": (policy_arn,)}


def _check_attachable(connection: Connection, account: str, policy_arn: str) -> None:
    """Raises NotFound unless it is a policy of the account, or one that the product brings along."""
    if find_policy_owner(connection, policy_arn) not in (account, ""):
        raise NotFound(f"Policy {policy_arn} does not exist or is not attachable.")
