"""Versions of managed policies: at most five, one of them the default one, which decisions read.

IAM User Guide, "Versioning IAM policies". Numbers never come again; making a version the default one needs no second
permission while it is being made, which is why iam:CreatePolicyVersion is as good as administering the policy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from broker.errors import DeleteConflict, LimitExceeded, NotFound
from broker.iam.changes import record_change
from broker.iam.managed_policies import check_managed_document
from broker.iam.named_policies import authorized_own_policy, authorized_policy, changeable_policy
from broker.iam.pages import page_within
from broker.services import Caller, Services
from broker.store.managed_policies import PolicyRecord
from broker.store.policy_versions import (
    Version,
    add_version,
    count_versions,
    delete_version,
    find_version,
    list_versions,
    set_default_version,
)

_VERSION_ID = re.compile(r"v([1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class PolicyVersionView:
    """IAM ``PolicyVersion``. Lists leave out the document."""

    version_id: str
    is_default_version: bool
    create_date: datetime
    document: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyVersionAnswer:
    """IAM ``CreatePolicyVersionResponse`` and ``GetPolicyVersionResponse``."""

    policy_version: PolicyVersionView


@dataclass(frozen=True, slots=True)
class PolicyVersionList:
    """IAM ``ListPolicyVersionsResponse``."""

    versions: Sequence[PolicyVersionView]
    is_truncated: bool
    marker: str | None


def create_policy_version(
    services: Services, caller: Caller, *, policy_arn: str, policy_document: str, set_as_default: bool = False
) -> PolicyVersionAnswer:
    """Add a version (AWS IAM CreatePolicyVersion). Raises MalformedPolicy, LimitExceeded."""
    policy = authorized_own_policy(services, caller, "iam:CreatePolicyVersion", policy_arn)
    quotas = services.settings.quotas
    check_managed_document(policy_document, quotas.managed_policy)
    with services.database.change() as connection:
        policy = changeable_policy(connection, policy)
        if count_versions(connection, policy.id) >= quotas.policy_versions:
            raise LimitExceeded(
                f"A managed policy can have up to {quotas.policy_versions} versions. Before you create a new version, "
                "you must delete an existing version."
            )
        version = Version(policy.last_version + 1, policy_document, int(caller.now.timestamp()))
        add_version(connection, policy.id, version)
        if set_as_default:
            set_default_version(connection, policy.id, version)
        default = version.number if set_as_default else policy.default_version
        answer = PolicyVersionAnswer(version_view(version, default))
        record_change(connection, caller, answer)
    return answer


def get_policy_version(services: Services, caller: Caller, *, policy_arn: str, version_id: str) -> PolicyVersionAnswer:
    """A version with its document (AWS IAM GetPolicyVersion)."""
    policy = authorized_policy(services, caller, "iam:GetPolicyVersion", policy_arn)
    with services.database.read() as connection:
        version = find_version(connection, policy.id, _number(policy, version_id))
    if version is None:
        raise _missing(policy, version_id)
    return PolicyVersionAnswer(version_view(version, policy.default_version, document=version.document))


def list_policy_versions(
    services: Services, caller: Caller, *, policy_arn: str, marker: str | None = None, max_items: int | None = None
) -> PolicyVersionList:
    """A policy's versions, the newest first (AWS IAM ListPolicyVersions)."""
    policy = authorized_policy(services, caller, "iam:ListPolicyVersions", policy_arn)
    with services.database.read() as connection:
        versions = list_versions(connection, policy.id)
    page = page_within(versions, lambda version: f"{10**9 - version.number:010}", marker, max_items)
    views = [version_view(version, policy.default_version) for version in page.items]
    return PolicyVersionList(views, page.is_truncated, page.marker)


def set_default_policy_version(services: Services, caller: Caller, *, policy_arn: str, version_id: str) -> None:
    """Let another version decide, at once (AWS IAM SetDefaultPolicyVersion). Raises NotFound."""
    policy = authorized_own_policy(services, caller, "iam:SetDefaultPolicyVersion", policy_arn)
    with services.database.change() as connection:
        changeable_policy(connection, policy)
        version = find_version(connection, policy.id, _number(policy, version_id))
        if version is None:
            raise _missing(policy, version_id)
        set_default_version(connection, policy.id, version)
        record_change(connection, caller)


def delete_policy_version(services: Services, caller: Caller, *, policy_arn: str, version_id: str) -> None:
    """Delete a version that is not the default one (AWS IAM DeletePolicyVersion). Raises NotFound, DeleteConflict."""
    policy = authorized_own_policy(services, caller, "iam:DeletePolicyVersion", policy_arn)
    with services.database.change() as connection:
        number = _number(policy, version_id)
        if changeable_policy(connection, policy).default_version == number:
            raise DeleteConflict("Cannot delete the default version of a policy.")
        if find_version(connection, policy.id, number) is None:
            raise _missing(policy, version_id)
        delete_version(connection, policy.id, number)
        record_change(connection, caller)


def version_view(version: Version, default: int, *, document: str | None = None) -> PolicyVersionView:
    """A version as the wire shows it; ``default`` is the number of the policy's default one."""
    created = datetime.fromtimestamp(version.created_at, UTC)
    return PolicyVersionView(f"v{version.number}", version.number == default, created, document)


def _number(policy: PolicyRecord, version_id: str) -> int:
    """``v3`` as a number. Raises NotFound for what the pattern allows and none of our versions is called."""
    found = _VERSION_ID.fullmatch(version_id)
    if found is None:
        raise _missing(policy, version_id)
    return int(found[1])


def _missing(policy: PolicyRecord, version_id: str) -> NotFound:
    return NotFound(f"Policy {policy.arn} version {version_id} does not exist or is not attachable.")
