"""Users in groups: a user has the policies of its groups besides its own.

Who may change a group's members decides who gets its policies, so these operations are about the group's ARN. A user
that accredit.toml declares may be in groups all the same: they are made here, and the file does not know them.
"""

from __future__ import annotations

from sqlalchemy import Connection

from broker.errors import LimitExceeded
from broker.iam.changes import record_change
from broker.iam.groups import GroupList, group_view
from broker.iam.named import authorized_entity, changeable, missing
from broker.iam.pages import page_within
from broker.services import Caller, Services
from broker.store.entities import Entity, find_entity_by_name
from broker.store.group_members import add_member, count_groups_of, is_member, list_groups_of, remove_member


def add_user_to_group(services: Services, caller: Caller, *, group_name: str, user_name: str) -> None:
    """Put a user into a group; it may be there already (AWS IAM AddUserToGroup). Raises NotFound, LimitExceeded."""
    group = authorized_entity(services, caller, "iam:AddUserToGroup", "group", group_name)
    quota = services.settings.quotas.groups_per_user
    with services.database.change() as connection:
        changeable(connection, group)
        user = _user(connection, group.account, user_name)
        if not is_member(connection, group.id, user.id):
            if count_groups_of(connection, user.id) >= quota:
                raise LimitExceeded(f"Cannot exceed quota for GroupsPerUser: {quota}")
            add_member(connection, group.id, user.id, int(caller.now.timestamp()))
        record_change(connection, caller)


def remove_user_from_group(services: Services, caller: Caller, *, group_name: str, user_name: str) -> None:
    """Take a user out of a group; it need not be there (AWS IAM RemoveUserFromGroup). Raises NotFound."""
    group = authorized_entity(services, caller, "iam:RemoveUserFromGroup", "group", group_name)
    with services.database.change() as connection:
        changeable(connection, group)
        remove_member(connection, group.id, _user(connection, group.account, user_name).id)
        record_change(connection, caller)


def list_groups_for_user(
    services: Services, caller: Caller, *, user_name: str, marker: str | None = None, max_items: int | None = None
) -> GroupList:
    """The groups that a user is in, by name (AWS IAM ListGroupsForUser)."""
    user = authorized_entity(services, caller, "iam:ListGroupsForUser", "user", user_name)
    with services.database.read() as connection:
        groups = list_groups_of(connection, user.id)
    page = page_within(groups, lambda group: group.name.lower(), marker, max_items)
    return GroupList([group_view(group) for group in page.items], page.is_truncated, page.marker)


def _user(connection: Connection, account: str, name: str) -> Entity:
    found = find_entity_by_name(connection, account, "user", name)
    if found is None:
        raise missing("user", name)
    return found
