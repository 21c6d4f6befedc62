"""Policies of users: those inline, and managed ones that are attached (``inline_policies``, ``attachments``)."""

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
class UserPolicy:
    """IAM ``GetUserPolicyResponse``."""

    user_name: str
    policy_name: str
    policy_document: str


def put_user_policy(
    services: Services, caller: Caller, *, user_name: str, policy_name: str, policy_document: str
) -> None:
    """Make an inline policy, or replace it (AWS IAM PutUserPolicy)."""
    put_inline_policy(services, caller, "iam:PutUserPolicy", "user", user_name, policy_name, policy_document)


def get_user_policy(services: Services, caller: Caller, *, user_name: str, policy_name: str) -> UserPolicy:
    """An inline policy (AWS IAM GetUserPolicy)."""
    found, document = get_inline_policy(services, caller, "iam:GetUserPolicy", "user", user_name, policy_name)
    return UserPolicy(found.name, policy_name, document)


def delete_user_policy(services: Services, caller: Caller, *, user_name: str, policy_name: str) -> None:
    """Delete an inline policy (AWS IAM DeleteUserPolicy)."""
    delete_inline_policy(services, caller, "iam:DeleteUserPolicy", "user", user_name, policy_name)


def list_user_policies(
    services: Services, caller: Caller, *, user_name: str, marker: str | None = None, max_items: int | None = None
) -> InlinePolicyNames:
    """The names of the inline policies (AWS IAM ListUserPolicies)."""
    return list_inline_policies(services, caller, "iam:ListUserPolicies", "user", user_name, marker, max_items)


def attach_user_policy(services: Services, caller: Caller, *, user_name: str, policy_arn: str) -> None:
    """Attach a managed policy (AWS IAM AttachUserPolicy)."""
    attach_policy(services, caller, "iam:AttachUserPolicy", "user", user_name, policy_arn)


def detach_user_policy(services: Services, caller: Caller, *, user_name: str, policy_arn: str) -> None:
    """Detach a managed policy (AWS IAM DetachUserPolicy)."""
    detach_policy(services, caller, "iam:DetachUserPolicy", "user", user_name, policy_arn)


def list_attached_user_policies(
    services: Services,
    caller: Caller,
    *,
    user_name: str,
    path_prefix: str = "/",
    marker: str | None = None,
    max_items: int | None = None,
) -> AttachedPolicyList:
    """The attached managed policies, by name (AWS IAM ListAttachedUserPolicies)."""
    action = "iam:ListAttachedUserPolicies"
    return list_attached(services, caller, action, "user", user_name, path_prefix, marker, max_items)
