"""Policies of roles: those inline, and managed ones that are attached (``inline_policies``, ``attachments``)."""

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
class RolePolicy:
    """IAM ``GetRolePolicyResponse``."""

    role_name: str
    policy_name: str
    policy_document: str


def put_role_policy(
    services: Services, caller: Caller, *, role_name: str, policy_name: str, policy_document: str
) -> None:
    """Make an inline policy, or replace it (AWS IAM PutRolePolicy)."""
    put_inline_policy(services, caller, "iam:PutRolePolicy", "role", role_name, policy_name, policy_document)


def get_role_policy(services: Services, caller: Caller, *, role_name: str, policy_name: str) -> RolePolicy:
    """An inline policy (AWS IAM GetRolePolicy)."""
    found, document = get_inline_policy(services, caller, "iam:GetRolePolicy", "role", role_name, policy_name)
    return RolePolicy(found.name, policy_name, document)


def delete_role_policy(services: Services, caller: Caller, *, role_name: str, policy_name: str) -> None:
    """Delete an inline policy (AWS IAM DeleteRolePolicy)."""
    delete_inline_policy(services, caller, "iam:DeleteRolePolicy", "role", role_name, policy_name)


def list_role_policies(
    services: Services, caller: Caller, *, role_name: str, marker: str | None = None, max_items: int | None = None
) -> InlinePolicyNames:
    """The names of the inline policies (AWS IAM ListRolePolicies)."""
    return list_inline_policies(services, caller, "iam:ListRolePolicies", "role", role_name, marker, max_items)


def attach_role_policy(services: Services, caller: Caller, *, role_name: str, policy_arn: str) -> None:
    """Attach a managed policy (AWS IAM AttachRolePolicy)."""
    attach_policy(services, caller, "iam:AttachRolePolicy", "role", role_name, policy_arn)


def detach_role_policy(services: Services, caller: Caller, *, role_name: str, policy_arn: str) -> None:
    """Detach a managed policy (AWS IAM DetachRolePolicy)."""
    detach_policy(services, caller, "iam:DetachRolePolicy", "role", role_name, policy_arn)


def list_attached_role_policies(
    services: Services,
    caller: Caller,
    *,
    role_name: str,
    path_prefix: str = "/",
    marker: str | None = None,
    max_items: int | None = None,
) -> AttachedPolicyList:
    """The attached managed policies, by name (AWS IAM ListAttachedRolePolicies)."""
    action = "iam:ListAttachedRolePolicies"
    return list_attached(services, caller, action, "role", role_name, path_prefix, marker, max_items)
