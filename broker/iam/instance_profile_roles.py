"""The role in an instance profile: one at most (IAM User Guide, "Using instance profiles").

Whoever puts a role there gives it to all who start machines with that profile, so the caller must be allowed to pass
the role (``iam:PassRole``), as with AWS.
"""

from __future__ import annotations

from broker.errors import LimitExceeded, NotFound
from broker.iam.changes import record_change
from broker.iam.instance_profiles import InstanceProfileList, authorized_profile, present, profile_list
from broker.iam.named import authorized_entity, missing, still_there
from broker.iam.pages import page_of
from broker.services import Caller, Services
from broker.store.entities import find_entity_by_name
from broker.store.instance_profiles import find_instance_profiles, set_instance_profile_role

_QUOTA = 1
_MACHINES = {"iam:PassedToService": ("ec2.amazonaws.com",)}


def add_role_to_instance_profile(
    services: Services, caller: Caller, *, instance_profile_name: str, role_name: str
) -> None:
    """Put a role into an instance profile (AWS IAM AddRoleToInstanceProfile).

    A role that the configuration declares may be in one: that changes nothing of the role. Raises LimitExceeded.
    """
    profile = authorized_profile(services, caller, "iam:AddRoleToInstanceProfile", instance_profile_name)
    role = authorized_entity(services, caller, "iam:PassRole", "role", role_name, _MACHINES)
    with services.database.change() as connection:
        still_there(connection, role)
        if present(connection, profile).role_id is not None:
            raise LimitExceeded(f"Cannot exceed quota for InstanceSessionsPerInstanceProfile: {_QUOTA}")
        set_instance_profile_role(connection, profile.id, role.id)
        record_change(connection, caller)


def remove_role_from_instance_profile(
    services: Services, caller: Caller, *, instance_profile_name: str, role_name: str
) -> None:
    """Take the role out again (AWS IAM RemoveRoleFromInstanceProfile). Raises NotFound."""
    profile = authorized_profile(services, caller, "iam:RemoveRoleFromInstanceProfile", instance_profile_name)
    with services.database.change() as connection:
        role = find_entity_by_name(connection, profile.account, "role", role_name)
        if role is None:
            raise missing("role", role_name)
        if present(connection, profile).role_id != role.id:
            raise NotFound(f"Role {role_name} is not in Instance Profile {profile.name}.")
        set_instance_profile_role(connection, profile.id, None)
        record_change(connection, caller)


def list_instance_profiles_for_role(
    services: Services, caller: Caller, *, role_name: str, marker: str | None = None, max_items: int | None = None
) -> InstanceProfileList:
    """The instance profiles that a role is in, by name (AWS IAM ListInstanceProfilesForRole)."""
    role = authorized_entity(services, caller, "iam:ListInstanceProfilesForRole", "role", role_name)
    with services.database.read() as connection:
        page = page_of(
            lambda after, limit: find_instance_profiles(
                connection, role.account, role_id=role.id, after=after, limit=limit
            ),
            lambda profile: profile.name.lower(),
            marker,
            max_items,
        )
        return profile_list(connection, page)
