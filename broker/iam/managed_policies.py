"""Managed policies: objects of their own, attached to many (IAM User Guide, "Managed policies and inline policies").

Those of the product (``arn:aws:iam::aws:policy/…``) are in every account's lists, and nobody's to change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from broker.authorization import authorize
from broker.credentials.keyids import POLICY_ID, new_unique_id
from broker.domain.arn import policy_arn as arn_of_policy
from broker.domain.session import Tag
from broker.errors import AlreadyExists, DeleteConflict, LimitExceeded
from broker.iam.changes import record_change
from broker.iam.entity_tags import TagList, tag_list
from broker.iam.named import account_of_caller
from broker.iam.named_policies import authorized_own_policy, authorized_policy, changeable_policy
from broker.iam.pages import page_of
from broker.iam.tags import parse_tags, tag_request, tagged, tags_of, untag_request, untagged
from broker.policy.document import PolicyKind, parse_policy
from broker.policy.quotas import check_managed_policy_size
from broker.services import Caller, Services
from broker.store.managed_policies import (
    OWNERS,
    Owner,
    PolicyRecord,
    count_managed_policies,
    delete_managed_policy,
    find_managed_policy_by_name,
    insert_managed_policy,
    list_managed_policies,
    set_policy_tags,
)
from broker.store.policy_usage import Usage, attachment_counts, boundary_counts
from broker.store.policy_versions import count_versions

_SCOPES: Mapping[str, tuple[Owner, ...]] = {"All": OWNERS, "AWS": ("product",), "Local": ("account",)}


@dataclass(frozen=True, slots=True)
class PolicyView:
    """IAM ``Policy``. Lists leave out the description and the tags."""

    policy_name: str
    policy_id: str
    arn: str
    path: str
    default_version_id: str
    attachment_count: int
    permissions_boundary_usage_count: int
    create_date: datetime
    update_date: datetime
    description: str | None = None
    tags: Sequence[Tag] | None = None
    is_attachable: bool = True


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """IAM ``CreatePolicyResponse`` and ``GetPolicyResponse``."""

    policy: PolicyView


@dataclass(frozen=True, slots=True)
class PolicyList:
    """IAM ``ListPoliciesResponse``."""

    policies: Sequence[PolicyView]
    is_truncated: bool
    marker: str | None


def create_policy(
    services: Services,
    caller: Caller,
    *,
    policy_name: str,
    policy_document: str,
    path: str = "/",
    description: str = "",
    tags: Sequence[Tag] = (),
) -> PolicyAnswer:
    """Make a policy that is attached to nobody yet (AWS IAM CreatePolicy).

    Raises MalformedPolicy, AlreadyExists (names differ in more than case), LimitExceeded.
    """
    account = account_of_caller(caller)
    given = parse_tags(tags)
    arn = arn_of_policy(account, path, policy_name)
    authorize(services, caller, "iam:CreatePolicy", arn, tag_request(given))
    if given:
        authorize(services, caller, "iam:TagPolicy", arn, tag_request(given))
    quotas = services.settings.quotas
    check_managed_document(policy_document, quotas.managed_policy)
    now, policy_id = int(caller.now.timestamp()), new_unique_id(POLICY_ID)
    own = tagged({}, given, quotas.tags)
    policy = PolicyRecord(policy_id, account, policy_name, path, arn, description, own, 1, 1, False, now, now)
    answer = PolicyAnswer(policy_view(policy, detailed=True))
    with services.database.change() as connection:
        if find_managed_policy_by_name(connection, account, policy_name) is not None:
            raise AlreadyExists(f"A policy called {policy_name} already exists. Duplicate names are not allowed.")
        if count_managed_policies(connection, account) >= quotas.policies:
            raise LimitExceeded(f"Cannot exceed quota for PoliciesPerAccount: {quotas.policies}")
        insert_managed_policy(connection, policy, policy_document)
        record_change(connection, caller, answer)
    return answer


def get_policy(services: Services, caller: Caller, *, policy_arn: str) -> PolicyAnswer:
    """A policy without its document, which is its versions' (AWS IAM GetPolicy)."""
    policy = authorized_policy(services, caller, "iam:GetPolicy", policy_arn)
    with services.database.read() as connection:
        return PolicyAnswer(policy_views(connection, account_of_caller(caller), [policy], detailed=True)[0])


def list_policies(
    services: Services,
    caller: Caller,
    *,
    scope: str = "All",
    only_attached: bool = False,
    path_prefix: str = "/",
    policy_usage_filter: Usage | None = None,
    marker: str | None = None,
    max_items: int | None = None,
) -> PolicyList:
    """The policies that the account can use, by name (AWS IAM ListPolicies).

    ``policy_usage_filter`` leaves those that are used in this way.
    """
    account = account_of_caller(caller)
    authorize(services, caller, "iam:ListPolicies", "*")
    attached: tuple[Usage, ...] = ("PermissionsPolicy",) if only_attached else ()
    usages = attached if policy_usage_filter is None else (policy_usage_filter,)
    with services.database.read() as connection:
        page = page_of(
            lambda after, limit: list_managed_policies(
                connection,
                account,
                owners=_SCOPES[scope],
                path_prefix=path_prefix,
                usages=usages,
                after=after,
                limit=limit,
            ),
            lambda policy: policy.sort_key,
            marker,
            max_items,
        )
        return PolicyList(policy_views(connection, account, page.items), page.is_truncated, page.marker)


def delete_policy(services: Services, caller: Caller, *, policy_arn: str) -> None:
    """Delete a policy that nobody uses, and its only version with it (AWS IAM DeletePolicy). Raises DeleteConflict."""
    policy = authorized_own_policy(services, caller, "iam:DeletePolicy", policy_arn)
    with services.database.change() as connection:
        changeable_policy(connection, policy)
        if any(counts(connection, policy.account, [policy.arn]) for counts in (attachment_counts, boundary_counts)):
            raise DeleteConflict("Cannot delete a policy attached to entities.")
        if count_versions(connection, policy.id) > 1:
            raise DeleteConflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
        delete_managed_policy(connection, policy.id)
        record_change(connection, caller)


def tag_policy(services: Services, caller: Caller, *, policy_arn: str, tags: Sequence[Tag]) -> None:
    """Add tags, or give them new values (AWS IAM TagPolicy). Raises LimitExceeded."""
    given = parse_tags(tags)
    policy = authorized_own_policy(services, caller, "iam:TagPolicy", policy_arn, tag_request(given))
    with services.database.change() as connection:
        present = changeable_policy(connection, policy).tags
        set_policy_tags(connection, policy.id, tagged(present, given, services.settings.quotas.tags))
        record_change(connection, caller)


def untag_policy(services: Services, caller: Caller, *, policy_arn: str, tag_keys: Sequence[str]) -> None:
    """Take tags away (AWS IAM UntagPolicy)."""
    policy = authorized_own_policy(services, caller, "iam:UntagPolicy", policy_arn, untag_request(tag_keys))
    with services.database.change() as connection:
        set_policy_tags(connection, policy.id, untagged(changeable_policy(connection, policy).tags, tag_keys))
        record_change(connection, caller)


def list_policy_tags(
    services: Services, caller: Caller, *, policy_arn: str, marker: str | None = None, max_items: int | None = None
) -> TagList:
    """A policy's tags, by key (AWS IAM ListPolicyTags)."""
    return tag_list(authorized_policy(services, caller, "iam:ListPolicyTags", policy_arn).tags, marker, max_items)


def check_managed_document(document: str, limit: int) -> None:
    """Raises MalformedPolicy, LimitExceeded."""
    parse_policy(document, PolicyKind.IDENTITY)
    check_managed_policy_size(document, limit)


def policy_views(
    connection: Connection, account: str, policies: Sequence[PolicyRecord], *, detailed: bool = False
) -> list[PolicyView]:
    """Policies as the wire shows them to ``account``, whose own uses are counted."""
    arns = [policy.arn for policy in policies]
    attached, bounding = attachment_counts(connection, account, arns), boundary_counts(connection, account, arns)
    return [
        policy_view(policy, attached.get(policy.arn, 0), bounding.get(policy.arn, 0), detailed=detailed)
        for policy in policies
    ]


def policy_view(
    policy: PolicyRecord, attachments: int = 0, boundaries: int = 0, *, detailed: bool = False
) -> PolicyView:
    return PolicyView(
        policy.name,
        policy.id,
        policy.arn,
        policy.path,
        f"v{policy.default_version}",
        attachments,
        boundaries,
        datetime.fromtimestamp(policy.created_at, UTC),
        datetime.fromtimestamp(policy.updated_at, UTC),
        (policy.description or None) if detailed else None,
        (tags_of(policy.tags) or None) if detailed else None,
    )
