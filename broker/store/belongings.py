"""What still hangs on a user, group or role, so that it cannot be deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Connection, Table, exists, select

from broker.store.entities import Kind
from broker.store.tables import (
    access_keys,
    group_members,
    inline_policies,
    instance_profiles,
    login_profiles,
    mfa_devices,
    policy_attachments,
)

_BELONGINGS: Mapping[str, tuple[tuple[Kind, ...], Table, Column[Any]]] = {
    "attached policies": (("user", "group", "role"), policy_attachments, policy_attachments.c.entity_id),
    "policies": (("user", "group", "role"), inline_policies, inline_policies.c.entity_id),
    "access keys": (("user",), access_keys, access_keys.c.user_id),
    "login profile": (("user",), login_profiles, login_profiles.c.user_id),
    "MFA devices": (("user",), mfa_devices, mfa_devices.c.user_id),
    "groups": (("user",), group_members, group_members.c.user_id),
    "users": (("group",), group_members, group_members.c.group_id),
    "instance profiles": (("role",), instance_profiles, instance_profiles.c.role_id),
}


def find_belonging(connection: Connection, kind: Kind, unique_id: str) -> str | None:
    """What the entity still has, in one word or two; None if nothing."""
    for name, (kinds, table, owner) in _BELONGINGS.items():
        if kind in kinds and connection.execute(select(exists().select_from(table).where(owner == unique_id))).scalar():
            return name
    return None
