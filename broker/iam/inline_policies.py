"""Inline policies of users, groups and roles: one way to put, to get, to delete and to list.

IAM User Guide, "Managed policies and inline policies": they belong to one entity, have no ARN and no versions. Their
names are compared as they are written, within one entity alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker.errors import NotFound
from broker.iam.changes import record_change
from broker.iam.named import authorized_entity, changeable
from broker.iam.pages import page_of
from broker.policy.document import PolicyKind, parse_policy
from broker.policy.quotas import check_inline_policies_size
from broker.services import Caller, Services
from broker.settings import QuotaSettings
from broker.store import inline_policies
from broker.store.entities import Entity, Kind


@dataclass(frozen=True, slots=True)
class InlinePolicyNames:
    """IAM ``ListUserPoliciesResponse`` and its like."""

    policy_names: Sequence[str]
    is_truncated: bool
    marker: str | None


def put_inline_policy(
    services: Services, caller: Caller, action: str, kind: Kind, name: str, policy_name: str, document: str
) -> None:
    """Give the entity the policy, instead of the one of that name. Raises MalformedPolicy, LimitExceeded."""
    entity = authorized_entity(services, caller, action, kind, name)
    parse_policy(document, PolicyKind.IDENTITY)
    with services.database.change() as connection:
        changeable(connection, entity)
        present = inline_policies.inline_policies_of(connection, [entity.id]).get(entity.id, ())
        others = [policy.policy_document for policy in present if policy.policy_name != policy_name]
        limit = _quota(services.settings.quotas, kind)
        check_inline_policies_size(kind, entity.name, [*others, document], limit)
        inline_policies.put_inline_policy(connection, entity.id, policy_name, document)
        record_change(connection, caller)


def get_inline_policy(
    services: Services, caller: Caller, action: str, kind: Kind, name: str, policy_name: str
) -> tuple[Entity, str]:
    """The entity and the policy's document, as it was put. Raises NotFound."""
    entity = authorized_entity(services, caller, action, kind, name)
    with services.database.read() as connection:
        document = inline_policies.find_inline_policy(connection, entity.id, policy_name)
    if document is None:
        raise _missing(kind, policy_name)
    return entity, document


def delete_inline_policy(
    services: Services, caller: Caller, action: str, kind: Kind, name: str, policy_name: str
) -> None:
    """Take the policy away. Raises NotFound."""
    entity = authorized_entity(services, caller, action, kind, name)
    with services.database.change() as connection:
        changeable(connection, entity)
        if inline_policies.find_inline_policy(connection, entity.id, policy_name) is None:
            raise _missing(kind, policy_name)
        inline_policies.delete_inline_policy(connection, entity.id, policy_name)
        record_change(connection, caller)


def list_inline_policies(
    services: Services, caller: Caller, action: str, kind: Kind, name: str, marker: str | None, max_items: int | None
) -> InlinePolicyNames:
    """A page of the names of the entity's policies."""
    entity = authorized_entity(services, caller, action, kind, name)
    with services.database.read() as connection:
        page = page_of(
            lambda after, limit: inline_policies.list_inline_policy_names(
                connection, entity.id, after=after, limit=limit
            ),
            str,
            marker,
            max_items,
        )
    return InlinePolicyNames(page.items, page.is_truncated, page.marker)


def _quota(quotas: QuotaSettings, kind: Kind) -> int:
    """Characters of all inline policies of one entity together."""
    return {
        "user": quotas.user_inline_policies,
        "group": quotas.group_inline_policies,
        "role": quotas.role_inline_policies,
    }[kind]


def _missing(kind: Kind, policy_name: str) -> NotFound:
    return NotFound(f"The {kind} policy with name {policy_name} cannot be found.")
