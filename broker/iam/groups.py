"""Groups: users with the same policies (IAM User Guide, "IAM user groups").

A group is no principal: trust policies cannot name it, it has no credentials, no tags and no permissions boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from broker.authorization import authorize
from broker.credentials.keyids import GROUP_ID, new_unique_id
from broker.domain.arn import group_arn
from broker.errors import AlreadyExists, LimitExceeded
from broker.iam.changes import record_change
from broker.iam.named import account_of_caller, authorized_entity, changeable, check_bare
from broker.iam.pages import page_of
from broker.iam.users import UserView, user_view
from broker.services import Caller, Services
from broker.store.entities import (
    Entity,
    count_entities,
    delete_entity,
    find_entity_by_name,
    insert_entity,
    list_entities,
    rename_entity,
)
from broker.store.group_members import list_members


@dataclass(frozen=True, slots=True)
class GroupView:
    """IAM ``Group``."""

    path: str
    group_name: str
    group_id: str
    arn: str
    create_date: datetime


@dataclass(frozen=True, slots=True)
class GroupAnswer:
    """IAM ``CreateGroupResponse``."""

    group: GroupView


@dataclass(frozen=True, slots=True)
class GroupMembers:
    """IAM ``GetGroupResponse``."""

    group: GroupView
    users: Sequence[UserView]
    is_truncated: bool
    marker: str | None


@dataclass(frozen=True, slots=True)
class GroupList:
    """IAM ``ListGroupsResponse`` and ``ListGroupsForUserResponse``."""

    groups: Sequence[GroupView]
    is_truncated: bool
    marker: str | None


def create_group(services: Services, caller: Caller, *, group_name: str, path: str = "/") -> GroupAnswer:
    """Make a group without users and policies (AWS IAM CreateGroup).

    Raises AlreadyExists (names differ in more than case), LimitExceeded.
    """
    account = account_of_caller(caller)
    arn = group_arn(account, path, group_name)
    authorize(services, caller, "iam:CreateGroup", arn)
    quota = services.settings.quotas.groups
    moment = int(caller.now.timestamp())
    group = Entity(new_unique_id(GROUP_ID), "group", account, group_name, path, arn, None, {}, False, moment)
    answer = GroupAnswer(group_view(group))
    with services.database.change() as connection:
        if find_entity_by_name(connection, account, "group", group_name) is not None:
            raise AlreadyExists(f"Group with name {group_name} already exists.")
        if count_entities(connection, account, "group") >= quota:
            raise LimitExceeded(f"Cannot exceed quota for GroupsPerAccount: {quota}")
        insert_entity(connection, group)
        record_change(connection, caller, answer)
    return answer


def get_group(
    services: Services, caller: Caller, *, group_name: str, marker: str | None = None, max_items: int | None = None
) -> GroupMembers:
    """A group and its users, by name (AWS IAM GetGroup)."""
    group = authorized_entity(services, caller, "iam:GetGroup", "group", group_name)
    with services.database.read() as connection:
        page = page_of(
            lambda after, limit: list_members(connection, group.id, after=after, limit=limit),
            lambda user: user.name.lower(),
            marker,
            max_items,
        )
    return GroupMembers(group_view(group), [user_view(user) for user in page.items], page.is_truncated, page.marker)


def list_groups(
    services: Services,
    caller: Caller,
    *,
    path_prefix: str = "/",
    marker: str | None = None,
    max_items: int | None = None,
) -> GroupList:
    """The account's groups, by name (AWS IAM ListGroups)."""
    account = account_of_caller(caller)
    authorize(services, caller, "iam:ListGroups", group_arn(account, path_prefix, ""))
    with services.database.read() as connection:
        page = page_of(
            lambda after, limit: list_entities(
                connection, account, "group", path_prefix=path_prefix, after=after, limit=limit
            ),
            lambda group: group.name.lower(),
            marker,
            max_items,
        )
    return GroupList([group_view(group) for group in page.items], page.is_truncated, page.marker)


def update_group(
    services: Services,
    caller: Caller,
    *,
    group_name: str,
    new_path: str | None = None,
    new_group_name: str | None = None,
) -> None:
    """Rename or move a group (AWS IAM UpdateGroup): its users, policies and unique id stay, its ARN changes.

    The caller needs the permission on both ARNs. Raises AlreadyExists.
    """
    group = authorized_entity(services, caller, "iam:UpdateGroup", "group", group_name)
    name, path = new_group_name or group.name, new_path or group.path
    arn = group_arn(group.account, path, name)
    if arn != group.arn:
        authorize(services, caller, "iam:UpdateGroup", arn)
    with services.database.change() as connection:
        changeable(connection, group)
        other = find_entity_by_name(connection, group.account, "group", name)
        if other is not None and other.id != group.id:
            raise AlreadyExists(f"Group with name {name} already exists.")
        rename_entity(connection, group.id, name=name, path=path, arn=arn)
        record_change(connection, caller)


def delete_group(services: Services, caller: Caller, *, group_name: str) -> None:
    """Delete a group without users and policies (AWS IAM DeleteGroup). Raises DeleteConflict."""
    group = authorized_entity(services, caller, "iam:DeleteGroup", "group", group_name)
    with services.database.change() as connection:
        changeable(connection, group)
        check_bare(connection, group)
        delete_entity(connection, group.id)
        record_change(connection, caller)


def group_view(group: Entity) -> GroupView:
    """A group as the wire shows it."""
    return GroupView(group.path, group.name, group.id, group.arn, datetime.fromtimestamp(group.created_at, UTC))
