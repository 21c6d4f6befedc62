"""Managed policies with all their versions, as GetAccountAuthorizationDetails shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from broker.iam.managed_policies import policy_views
from broker.iam.policy_versions import PolicyVersionView, version_view
from broker.store.managed_policies import PolicyRecord
from broker.store.policy_versions import versions_of


@dataclass(frozen=True, slots=True)
class PolicyDetail:
    """IAM ``ManagedPolicyDetail``."""

    policy_name: str
    policy_id: str
    arn: str
    path: str
    default_version_id: str
    attachment_count: int
    permissions_boundary_usage_count: int
    is_attachable: bool
    description: str | None
    create_date: datetime
    update_date: datetime
    policy_version_list: Sequence[PolicyVersionView]


def policy_details(connection: Connection, account: str, policies: Sequence[PolicyRecord]) -> list[PolicyDetail]:
    """A page of them, as ``account`` sees them."""
    versions = versions_of(connection, [policy.id for policy in policies])
    return [
        PolicyDetail(
            view.policy_name,
            view.policy_id,
            view.arn,
            view.path,
            view.default_version_id,
            view.attachment_count,
            view.permissions_boundary_usage_count,
            view.is_attachable,
            view.description,
            view.create_date,
            view.update_date,
            [
                version_view(version, policy.default_version, document=version.document)
                for version in versions.get(policy.id, ())
            ],
        )
        for policy, view in zip(policies, policy_views(connection, account, policies, detailed=True), strict=True)
    ]
