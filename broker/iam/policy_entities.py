"""Who uses a managed policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from broker.iam.named import account_of_caller
from broker.iam.named_policies import authorized_policy
from broker.iam.pages import page_of
from broker.services import Caller, Services
from broker.store.entities import Entity, Kind
from broker.store.policy_usage import USAGES, Usage, entities_using

_KINDS: Mapping[str | None, tuple[Kind, ...]] = {
    None: ("user", "group", "role"),
    "User": ("user",),
    "Group": ("group",),
    "Role": ("role",),
}
"""Entity filter -> kinds. The filters for policies, which the model has too, leave nobody."""


@dataclass(frozen=True, slots=True)
class PolicyUser:
    """IAM ``PolicyUser``."""

    user_name: str
    user_id: str


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """IAM ``PolicyGroup``."""

    group_name: str
    group_id: str


@dataclass(frozen=True, slots=True)
class PolicyRole:
    """IAM ``PolicyRole``."""

    role_name: str
    role_id: str


@dataclass(frozen=True, slots=True)
class PolicyEntities:
    """IAM ``ListEntitiesForPolicyResponse``."""

    policy_groups: Sequence[PolicyGroup]
    policy_users: Sequence[PolicyUser]
    policy_roles: Sequence[PolicyRole]
    is_truncated: bool
    marker: str | None


def list_entities_for_policy(
    services: Services,
    caller: Caller,
    *,
    policy_arn: str,
    entity_filter: str | None = None,
    path_prefix: str = "/",
    policy_usage_filter: Usage | None = None,
    marker: str | None = None,
    max_items: int | None = None,
) -> PolicyEntities:
    """The account's users, groups and roles that use the policy in either way (AWS IAM ListEntitiesForPolicy)."""
    policy = authorized_policy(services, caller, "iam:ListEntitiesForPolicy", policy_arn)
    account = account_of_caller(caller)
    usages = USAGES if policy_usage_filter is None else (policy_usage_filter,)

    with services.database.read() as connection:

        def read(after: str, limit: int) -> Sequence[Entity]:
            kind, _, name = after.partition("/")
            return entities_using(
                connection,
                account,
                policy.arn,
                kinds=_KINDS.get(entity_filter, ()),
                usages=usages,
                path_prefix=path_prefix,
                after=(kind, name),
                limit=limit,
            )

        page = page_of(read, lambda entity: f"{entity.kind}/{entity.name.lower()}", marker, max_items)
    return PolicyEntities(
        [PolicyGroup(found.name, found.id) for found in page.items if found.kind == "group"],
        [PolicyUser(found.name, found.id) for found in page.items if found.kind == "user"],
        [PolicyRole(found.name, found.id) for found in page.items if found.kind == "role"],
        page.is_truncated,
        page.marker,
    )
