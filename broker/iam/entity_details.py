"""Users, groups and roles with all that binds them, as GetAccountAuthorizationDetails shows them.

Each function reads what a whole page needs in a few queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from broker.domain.session import Tag
from broker.iam.boundaries import AttachedBoundary, boundary_of
from broker.iam.instance_profiles import InstanceProfileView, profile_list
from broker.iam.pages import Page
from broker.iam.role_views import RoleLastUsed, last_used_view
from broker.iam.tags import tags_of
from broker.iam.trust_policies import shown_roles
from broker.store.entities import Entity
from broker.store.group_members import group_names_of
from broker.store.inline_policies import InlinePolicy, inline_policies_of
from broker.store.instance_profiles import find_profiles_of_roles
from broker.store.policy_usage import AttachedPolicy, attached_policies
from broker.store.role_usage import role_usages
from broker.store.roles import find_roles_by_id


@dataclass(frozen=True, slots=True)
class UserDetail:
    """IAM ``UserDetail``."""

    path: str
    user_name: str
    user_id: str
    arn: str
    create_date: datetime
    user_policy_list: Sequence[InlinePolicy]
    group_list: Sequence[str]
    attached_managed_policies: Sequence[AttachedPolicy]
    permissions_boundary: AttachedBoundary | None
    tags: Sequence[Tag]


@dataclass(frozen=True, slots=True)
class GroupDetail:
    """IAM ``GroupDetail``."""

    path: str
    group_name: str
    group_id: str
    arn: str
    create_date: datetime
    group_policy_list: Sequence[InlinePolicy]
    attached_managed_policies: Sequence[AttachedPolicy]


@dataclass(frozen=True, slots=True)
class RoleDetail:
    """IAM ``RoleDetail``."""

    path: str
    role_name: str
    role_id: str
    arn: str
    create_date: datetime
    assume_role_policy_document: str
    instance_profile_list: Sequence[InstanceProfileView]
    role_policy_list: Sequence[InlinePolicy]
    attached_managed_policies: Sequence[AttachedPolicy]
    permissions_boundary: AttachedBoundary | None
    tags: Sequence[Tag]
    role_last_used: RoleLastUsed


def user_details(connection: Connection, users: Sequence[Entity]) -> list[UserDetail]:
    ids = [user.id for user in users]
    inline, attached = inline_policies_of(connection, ids), attached_policies(connection, ids)
    groups = group_names_of(connection, ids)
    return [
        UserDetail(
            user.path,
            user.name,
            user.id,
            user.arn,
            _created(user),
            inline.get(user.id, ()),
            groups.get(user.id, ()),
            attached.get(user.id, ()),
            boundary_of(user),
            tags_of(user.tags),
        )
        for user in users
    ]


def group_details(connection: Connection, groups: Sequence[Entity]) -> list[GroupDetail]:
    ids = [group.id for group in groups]
    inline, attached = inline_policies_of(connection, ids), attached_policies(connection, ids)
    return [
        GroupDetail(
            group.path,
            group.name,
            group.id,
            group.arn,
            _created(group),
            inline.get(group.id, ()),
            attached.get(group.id, ()),
        )
        for group in groups
    ]


def role_details(connection: Connection, roles: Sequence[Entity]) -> list[RoleDetail]:
    ids = [role.id for role in roles]
    inline, attached = inline_policies_of(connection, ids), attached_policies(connection, ids)
    trust = {role.role_id: role.trust_policy for role in shown_roles(connection, find_roles_by_id(connection, ids))}
    profiles, used = _profiles(connection, ids), role_usages(connection, ids)
    return [
        RoleDetail(
            role.path,
            role.name,
            role.id,
            role.arn,
            _created(role),
            trust[role.id],
            profiles.get(role.id, ()),
            inline.get(role.id, ()),
            attached.get(role.id, ()),
            boundary_of(role),
            tags_of(role.tags),
            last_used_view(used.get(role.id)),
        )
        for role in roles
    ]


def _profiles(connection: Connection, role_ids: Sequence[str]) -> Mapping[str, Sequence[InstanceProfileView]]:
    """Of each role the instance profiles that hold it."""
    views = profile_list(connection, Page(find_profiles_of_roles(connection, role_ids), False, None))
    found: dict[str, list[InstanceProfileView]] = {}
    for view in views.instance_profiles:
        for role in view.roles:
            found.setdefault(role.role_id, []).append(view)
    return found


def _created(entity: Entity) -> datetime:
    return datetime.fromtimestamp(entity.created_at, UTC)
