"""How many objects an account has."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, Table, func, select

from broker.store.tables import (
    access_keys,
    entities,
    identity_providers,
    instance_profiles,
    managed_policies,
    mfa_devices,
    policy_versions,
)

_ROOT_DEVICE = mfa_devices.c.enabled_at.is_not(None) & mfa_devices.c.user_id.is_(None)
_COUNTED: Mapping[str, tuple[Table, ColumnElement[bool] | None]] = {
    "users": (entities, entities.c.kind == "user"),
    "groups": (entities, entities.c.kind == "group"),
    "roles": (entities, entities.c.kind == "role"),
    "instance profiles": (instance_profiles, None),
    "policies": (managed_policies, None),
    "identity providers": (identity_providers, None),
    "MFA devices": (mfa_devices, None),
    "MFA devices in use": (mfa_devices, mfa_devices.c.enabled_at.is_not(None)),
    "MFA devices of root": (mfa_devices, _ROOT_DEVICE),
    "access keys of root": (access_keys, access_keys.c.user_id.is_(None)),
}
"""What -> its table, and which of its rows."""


def count_objects(connection: Connection, account: str) -> Mapping[str, int]:
    """How many of what the account has; of its policies the versions too."""
    counts = {}
    for what, (table, where) in _COUNTED.items():
        query = select(func.count()).select_from(table).where(table.c.account == account)
        counts[what] = int(connection.execute(query if where is None else query.where(where)).scalar_one())
    versions = select(func.count()).select_from(policy_versions.join(managed_policies))
    counts["policy versions"] = int(
        connection.execute(versions.where(managed_policies.c.account == account)).scalar_one()
    )
    return counts
