"""How many objects an account has, and how many it may have (AWS IAM GetAccountSummary)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from broker.authorization import authorize
from broker.iam.named import account_of_caller
from broker.services import Caller, Services
from broker.settings import QuotaSettings
from broker.store.account_counts import count_objects

_TOKENS_VALID_EVERYWHERE = 2
"""``GlobalEndpointTokenVersion``: session tokens that every region takes."""


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """IAM ``GetAccountSummaryResponse``."""

    summary_map: Mapping[str, int]


def get_account_summary(services: Services, caller: Caller) -> AccountSummary:
    """Every key of AWS's: what there cannot be with us has none, and none may be made."""
    authorize(services, caller, "iam:GetAccountSummary", "*")
    with services.database.read() as connection:
        counts = count_objects(connection, account_of_caller(caller))
    return AccountSummary({**_objects(counts), **_quotas(services.settings.quotas)})


def _objects(counts: Mapping[str, int]) -> dict[str, int]:
    return {
        "Users": counts["users"],
        "Groups": counts["groups"],
        "Roles": counts["roles"],
        "InstanceProfiles": counts["instance profiles"],
        "Policies": counts["policies"],
        "PolicyVersionsInUse": counts["policy versions"],
        "Providers": counts["identity providers"],
        "ServerCertificates": 0,
        "MFADevices": counts["MFA devices"],
        "MFADevicesInUse": counts["MFA devices in use"],
        "AccountMFAEnabled": int(counts["MFA devices of root"] > 0),
        "AccountAccessKeysPresent": int(counts["access keys of root"] > 0),
        "AccountPasswordPresent": 0,
        "AccountSigningCertificatesPresent": 0,
        "GlobalEndpointTokenVersion": _TOKENS_VALID_EVERYWHERE,
    }


def _quotas(quotas: QuotaSettings) -> dict[str, int]:
    return {
        "UsersQuota": quotas.users,
        "GroupsQuota": quotas.groups,
        "RolesQuota": quotas.roles,
        "InstanceProfilesQuota": quotas.instance_profiles,
        "PoliciesQuota": quotas.policies,
        "VersionsPerPolicyQuota": quotas.policy_versions,
        "PolicyVersionsInUseQuota": quotas.policies * quotas.policy_versions,
        "PolicySizeQuota": quotas.managed_policy,
        "AssumeRolePolicySizeQuota": quotas.trust_policy,
        "UserPolicySizeQuota": quotas.user_inline_policies,
        "GroupPolicySizeQuota": quotas.group_inline_policies,
        "RolePolicySizeQuota": quotas.role_inline_policies,
        "AttachedPoliciesPerUserQuota": quotas.attached_policies,
        "AttachedPoliciesPerGroupQuota": quotas.attached_policies,
        "AttachedPoliciesPerRoleQuota": quotas.attached_policies,
        "GroupsPerUserQuota": quotas.groups_per_user,
        "AccessKeysPerUserQuota": quotas.access_keys_per_user,
        "ServerCertificatesQuota": 0,
        "SigningCertificatesPerUserQuota": 0,
    }
