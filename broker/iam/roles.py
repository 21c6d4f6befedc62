"""Roles: identities that principals assume for a while (IAM User Guide, "IAM roles")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from broker.authorization import authorize
from broker.credentials.durations import ROLE_MINIMUM_MAXIMUM_SECONDS
from broker.credentials.keyids import ROLE_ID, new_unique_id
from broker.domain.arn import role_arn
from broker.domain.role import Role
from broker.domain.session import Tag
from broker.errors import AlreadyExists, LimitExceeded
from broker.iam.boundaries import boundary_context, check_boundary, put_boundary, remove_boundary
from broker.iam.changes import record_change
from broker.iam.entity_tags import TagList, list_entity_tags, tag_entity, untag_entity
from broker.iam.named import account_of_caller, authorized_entity, changeable, check_bare, missing, read_authorized
from broker.iam.pages import page_of
from broker.iam.role_views import RoleView, detailed_view, role_views
from broker.iam.tags import parse_tags, tag_request, tagged
from broker.iam.trust_policies import bind_trust_policy, check_trust_policy
from broker.services import Caller, Services
from broker.store.entities import (
    Entity,
    count_entities,
    delete_entity,
    find_entity_by_name,
    insert_entity,
)
from broker.store.roles import find_named_role, find_role_by_id, find_roles, put_role_details


@dataclass(frozen=True, slots=True)
class RoleAnswer:
    """IAM ``CreateRoleResponse``, ``GetRoleResponse`` and ``UpdateRoleDescriptionResponse``."""

    role: RoleView


@dataclass(frozen=True, slots=True)
class RoleList:
    """IAM ``ListRolesResponse``."""

    roles: Sequence[RoleView]
    is_truncated: bool
    marker: str | None


def create_role(
    services: Services,
    caller: Caller,
    *,
    role_name: str,
    assume_role_policy_document: str,
    path: str = "/",
    description: str = "",
    max_session_duration: int = ROLE_MINIMUM_MAXIMUM_SECONDS,
    permissions_boundary: str | None = None,
    tags: Sequence[Tag] = (),
) -> RoleAnswer:
    """Make a role that allows nothing yet (AWS IAM CreateRole).

    Raises AlreadyExists (names differ in more than case), LimitExceeded, MalformedPolicy, NotFound for the boundary.
    """
    account = account_of_caller(caller)
    given = parse_tags(tags)
    arn = role_arn(account, path, role_name)
    more = {**tag_request(given), **boundary_context(permissions_boundary)}
    authorize(services, caller, "iam:CreateRole", arn, more)
    if given:
        authorize(services, caller, "iam:TagRole", arn, more)
    quotas = services.settings.quotas
    check_trust_policy(assume_role_policy_document, quotas.trust_policy)
    role = Entity(
        new_unique_id(ROLE_ID),
        "role",
        account,
        role_name,
        path,
        arn,
        permissions_boundary,
        tagged({}, given, quotas.tags),
        False,
        int(caller.now.timestamp()),
    )
    with services.database.change() as connection:
        if find_entity_by_name(connection, account, "role", role_name) is not None:
            raise AlreadyExists(f"Role with name {role_name} already exists.")
        if count_entities(connection, account, "role") >= quotas.roles:
            raise LimitExceeded(f"Cannot exceed quota for RolesPerAccount: {quotas.roles}")
        check_boundary(connection, account, permissions_boundary)
        trust_policy = bind_trust_policy(connection, assume_role_policy_document)
        insert_entity(connection, role)
        put_role_details(
            connection,
            role.id,
            trust_policy=trust_policy,
            max_session_duration=max_session_duration,
            description=description,
        )
        answer = RoleAnswer(detailed_view(connection, _details(connection, role)))
        record_change(connection, caller, answer)
    return answer


def get_role(services: Services, caller: Caller, *, role_name: str) -> RoleAnswer:
    """A role with its trust policy (AWS IAM GetRole)."""
    return RoleAnswer(
        read_authorized(services, caller, "iam:GetRole", "role", role_name, partial(_in_detail, role_name))
    )


def _in_detail(name: str, connection: Connection, account: str) -> tuple[Role, RoleView] | None:
    role = find_named_role(connection, account, name)
    return None if role is None else (role, detailed_view(connection, role))


def list_roles(
    services: Services,
    caller: Caller,
    *,
    path_prefix: str = "/",
    marker: str | None = None,
    max_items: int | None = None,
) -> RoleList:
    """The account's roles, by name (AWS IAM ListRoles)."""
    account = account_of_caller(caller)
    authorize(services, caller, "iam:ListRoles", role_arn(account, path_prefix, ""))
    with services.database.read() as connection:
        page = page_of(
            lambda after, limit: find_roles(connection, account, path_prefix=path_prefix, after=after, limit=limit),
            lambda role: role.name.lower(),
            marker,
            max_items,
        )
        return RoleList(role_views(connection, page.items), page.is_truncated, page.marker)


def update_role(
    services: Services,
    caller: Caller,
    *,
    role_name: str,
    description: str | None = None,
    max_session_duration: int | None = None,
) -> None:
    """Change how a role is described and how long its sessions may be (AWS IAM UpdateRole).

    What is not given stays: AWS's page speaks of a default, but the service merges.
    """
    role = authorized_entity(services, caller, "iam:UpdateRole", "role", role_name)
    with services.database.change() as connection:
        _update(connection, role, description, max_session_duration)
        record_change(connection, caller)


def update_role_description(services: Services, caller: Caller, *, role_name: str, description: str) -> RoleAnswer:
    """Change a role's description; an empty one takes it away (AWS IAM UpdateRoleDescription)."""
    role = authorized_entity(services, caller, "iam:UpdateRoleDescription", "role", role_name)
    with services.database.change() as connection:
        _update(connection, role, description, None)
        answer = RoleAnswer(detailed_view(connection, _details(connection, role)))
        record_change(connection, caller, answer)
    return answer


def delete_role(services: Services, caller: Caller, *, role_name: str) -> None:
    """Delete a role that has no policies and is in no instance profile (AWS IAM DeleteRole). Raises DeleteConflict.

    Its sessions may do nothing any more, at once; a new role of the same name is another role.
    """
    role = authorized_entity(services, caller, "iam:DeleteRole", "role", role_name)
    with services.database.change() as connection:
        changeable(connection, role)
        check_bare(connection, role)
        delete_entity(connection, role.id)
        record_change(connection, caller)


def tag_role(services: Services, caller: Caller, *, role_name: str, tags: Sequence[Tag]) -> None:
    """Add tags, or give them new values (AWS IAM TagRole)."""
    tag_entity(services, caller, "iam:TagRole", "role", role_name, tags)


def untag_role(services: Services, caller: Caller, *, role_name: str, tag_keys: Sequence[str]) -> None:
    """Take tags away (AWS IAM UntagRole)."""
    untag_entity(services, caller, "iam:UntagRole", "role", role_name, tag_keys)


def list_role_tags(
    services: Services, caller: Caller, *, role_name: str, marker: str | None = None, max_items: int | None = None
) -> TagList:
    """A role's tags, by key (AWS IAM ListRoleTags)."""
    return list_entity_tags(services, caller, "iam:ListRoleTags", "role", role_name, marker, max_items)


def put_role_permissions_boundary(
    services: Services, caller: Caller, *, role_name: str, permissions_boundary: str
) -> None:
    """Limit what the role's policies can allow (AWS IAM PutRolePermissionsBoundary). Raises NotFound."""
    put_boundary(services, caller, "iam:PutRolePermissionsBoundary", "role", role_name, permissions_boundary)


def delete_role_permissions_boundary(services: Services, caller: Caller, *, role_name: str) -> None:
    """Take the limit away (AWS IAM DeleteRolePermissionsBoundary)."""
    remove_boundary(services, caller, "iam:DeleteRolePermissionsBoundary", "role", role_name)


def _update(connection: Connection, role: Entity, description: str | None, max_session_duration: int | None) -> None:
    changeable(connection, role)
    now = _details(connection, role)
    put_role_details(
        connection,
        role.id,
        trust_policy=now.trust_policy,
        max_session_duration=now.max_session_duration if max_session_duration is None else max_session_duration,
        description=now.description if description is None else description,
    )


def _details(connection: Connection, role: Entity) -> Role:
    """What it is besides an entity. Raises NotFound if it went meanwhile."""
    found = find_role_by_id(connection, role.id)
    if found is None:
        raise missing("role", role.name)
    return found
