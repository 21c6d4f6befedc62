"""Policies of groups: those inline, and managed ones that are attached (``inline_policies``, ``attachments``)."""

from __future__ import annotations

from dataclasses import dataclass

from broker.iam.attachments import AttachedPolicyList, attach_policy, detach_policy, list_attached
from broker.iam.inline_policies import (
    InlinePolicyNames,
    delete_inline_policy,
    get_inline_policy,
    list_inline_policies,
    put_inline_policy,
)
from broker.services import Caller, Services


@dataclass(frozen=True, slots=True)
class GroupPolicy:
    """IAM ``GetGroupPolicyResponse``."""

    group_name: str
    policy_name: str
    policy_document: str


def put_group_policy(
    services: Services, caller: Caller, *, group_name: str, policy_name: str, policy_document: str
) -> None:
    """Make an inline policy, or replace it (AWS IAM PutGroupPolicy)."""
    put_inline_policy(services, caller, "iam:PutGroupPolicy", "group", group_name, policy_name, policy_document)


def get_group_policy(services: Services, caller: Caller, *, group_name: str, policy_name: str) -> GroupPolicy:
    """An inline policy (AWS IAM GetGroupPolicy)."""
    found, document = get_inline_policy(services, caller, "iam:GetGroupPolicy", "group", group_name, policy_name)
    return GroupPolicy(found.name, policy_name, document)


def delete_group_policy(services: Services, caller: Caller, *, group_name: str, policy_name: str) -> None:
    """Delete an inline policy (AWS IAM DeleteGroupPolicy)."""
    delete_inline_policy(services, caller, "iam:DeleteGroupPolicy", "group", group_name, policy_name)


def list_group_policies(
    services: Services, caller: Caller, *, group_name: str, marker: str | None = None, max_items: int | None = None
) -> InlinePolicyNames:
    """The names of the inline policies (AWS IAM ListGroupPolicies)."""
    return list_inline_policies(services, caller, "iam:ListGroupPolicies", "group", group_name, marker, max_items)


def attach_group_policy(services: Services, caller: Caller, *, group_name: str, policy_arn: str) -> None:
    """Attach a managed policy (AWS IAM AttachGroupPolicy)."""
    attach_policy(services, caller, "iam:AttachGroupPolicy", "group", group_name, policy_arn)


def detach_group_policy(services: Services, caller: Caller, *, group_name: str, policy_arn: str) -> None:
    """Detach a managed policy (AWS IAM DetachGroupPolicy)."""
    detach_policy(services, caller, "iam:DetachGroupPolicy", "group", group_name, policy_arn)


def list_attached_group_policies(
    services: Services,
    caller: Caller,
    *,
    group_name: str,
    path_prefix: str = "/",
    marker: str | None = None,
    max_items: int | None = None,
) -> AttachedPolicyList:
    """The attached managed policies, by name (AWS IAM ListAttachedGroupPolicies)."""
    action = "iam:ListAttachedGroupPolicies"
    return list_attached(services, caller, action, "group", group_name, path_prefix, marker, max_items)
