"""Managed policies that the product brings along, for every account: ``arn:aws:iam::aws:policy/NAME``.

Their texts are files of ``config/policies``, named after AWS's and written for the services that are served here. They
are brought into the store whenever the configuration is applied; a text that changed becomes a new version.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from broker.config_files import read_config_file
from broker.credentials.keyids import POLICY_ID, new_unique_id
from broker.domain.arn import PRODUCT_ACCOUNT, policy_arn
from broker.store.managed_policies import PolicyRecord
from broker.store.policies import put_product_policy

_PATH = "/"
_VERSIONS = 5

PRODUCT_POLICIES: Mapping[str, str] = {
    "AdministratorAccess": "Everything.",
    "IAMFullAccess": "Everything about users, groups, roles, policies and identity providers.",
    "IAMReadOnlyAccess": "Reading everything about users, groups, roles, policies and identity providers; reports.",
    "IAMSelfManageAccessKeysAndMFA": "A user's own access keys and own MFA devices.",
    "IAMUserChangePassword": "A user's own password.",
    "ReadOnlyAccess": "Reading everything; nothing is changed and no credentials are issued.",
    "SecurityAudit": "Reading what an audit of permissions and of what happened needs; reports.",
}
"""Name -> description. The documents are ``config/policies/NAME.json``."""


def product_policy_arns() -> frozenset[str]:
    return frozenset(policy_arn(PRODUCT_ACCOUNT, _PATH, name) for name in PRODUCT_POLICIES)


def read_product_policy(name: str) -> str:
    return read_config_file(f"policies/{name}.json")


def put_product_policies(connection: Connection, now: int) -> list[str]:
    """Bring the store's to this product's state; the ARNs of those that were made or changed."""
    changed = []
    for name, description in PRODUCT_POLICIES.items():
        arn = policy_arn(PRODUCT_ACCOUNT, _PATH, name)
        made = PolicyRecord(new_unique_id(POLICY_ID), "", name, _PATH, arn, description, {}, 1, 1, False, now, now)
        if put_product_policy(connection, made, read_product_policy(name), versions=_VERSIONS):
            changed.append(arn)
    return changed
