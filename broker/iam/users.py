"""Users: people and programs with long-term credentials of their own (IAM User Guide, "IAM users")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from broker.authorization import authorize
from broker.credentials.keyids import USER_ID, new_unique_id
from broker.domain.arn import root_arn, user_arn
from broker.domain.principal import PrincipalKind
from broker.domain.session import Tag
from broker.errors import AlreadyExists, LimitExceeded
from broker.iam.boundaries import (
    AttachedBoundary,
    boundary_context,
    boundary_of,
    check_boundary,
    put_boundary,
    remove_boundary,
)
from broker.iam.changes import record_change
from broker.iam.entity_tags import TagList, list_entity_tags, tag_entity, untag_entity
from broker.iam.named import (
    account_of_caller,
    authorized_entity,
    changeable,
    check_bare,
    read_authorized,
    user_or_caller,
)
from broker.iam.pages import page_of
from broker.iam.tags import parse_tags, tag_request, tagged, tags_of
from broker.services import Caller, Services
from broker.store.accounts import get_created_at
from broker.store.entities import (
    Entity,
    count_entities,
    delete_entity,
    find_entity_by_name,
    insert_entity,
    list_entities,
    rename_entity,
)
from broker.store.login_profiles import password_last_used, passwords_last_used


@dataclass(frozen=True, slots=True)
class UserView:
    """IAM ``User``. Lists leave out the boundary and the tags."""

    path: str
    user_name: str | None
    user_id: str
    arn: str
    create_date: datetime
    password_last_used: datetime | None = None
    permissions_boundary: AttachedBoundary | None = None
    tags: Sequence[Tag] | None = None


@dataclass(frozen=True, slots=True)
class UserAnswer:
    """IAM ``CreateUserResponse`` and ``GetUserResponse``."""

    user: UserView


@dataclass(frozen=True, slots=True)
class UserList:
    """IAM ``ListUsersResponse``."""

    users: Sequence[UserView]
    is_truncated: bool
    marker: str | None


def create_user(
    services: Services,
    caller: Caller,
    *,
    user_name: str,
    path: str = "/",
    permissions_boundary: str | None = None,
    tags: Sequence[Tag] = (),
) -> UserAnswer:
    """Make a user without any credentials (AWS IAM CreateUser).

    Raises AlreadyExists (names differ in more than case), LimitExceeded, NotFound for the boundary.
    """
    account = account_of_caller(caller)
    given = parse_tags(tags)
    arn = user_arn(account, path, user_name)
    more = {**tag_request(given), **boundary_context(permissions_boundary)}
    authorize(services, caller, "iam:CreateUser", arn, more)
    if given:
        authorize(services, caller, "iam:TagUser", arn, more)
    quotas = services.settings.quotas
    user = Entity(
        new_unique_id(USER_ID),
        "user",
        account,
        user_name,
        path,
        arn,
        permissions_boundary,
        tagged({}, given, quotas.tags),
        False,
        int(caller.now.timestamp()),
    )
    answer = UserAnswer(user_view(user, detailed=True))
    with services.database.change() as connection:
        if find_entity_by_name(connection, account, "user", user_name) is not None:
            raise AlreadyExists(f"User with name {user_name} already exists.")
        if count_entities(connection, account, "user") >= quotas.users:
            raise LimitExceeded(f"Cannot exceed quota for UsersPerAccount: {quotas.users}")
        check_boundary(connection, account, permissions_boundary)
        insert_entity(connection, user)
        record_change(connection, caller, answer)
    return answer


def get_user(services: Services, caller: Caller, *, user_name: str | None = None) -> UserAnswer:
    """A user, or the caller itself (AWS IAM GetUser)."""
    principal = caller.authenticated().principal
    if user_name is None and principal.kind is PrincipalKind.ROOT:
        with services.database.read() as connection:
            created = datetime.fromtimestamp(get_created_at(connection, principal.account), UTC)
        return UserAnswer(UserView("/", None, principal.account, root_arn(principal.account), created))
    name = user_or_caller(caller, user_name)
    return UserAnswer(read_authorized(services, caller, "iam:GetUser", "user", name, partial(_in_detail, name)))


def _in_detail(name: str, connection: Connection, account: str) -> tuple[Entity, UserView] | None:
    user = find_entity_by_name(connection, account, "user", name)
    if user is None:
        return None
    return user, user_view(user, password_last_used(connection, user.id), detailed=True)


def list_users(
    services: Services,
    caller: Caller,
    *,
    path_prefix: str = "/",
    marker: str | None = None,
    max_items: int | None = None,
) -> UserList:
    """The account's users, by name (AWS IAM ListUsers)."""
    account = account_of_caller(caller)
    authorize(services, caller, "iam:ListUsers", user_arn(account, path_prefix, ""))
    with services.database.read() as connection:
        page = page_of(
            lambda after, limit: list_entities(
                connection, account, "user", path_prefix=path_prefix, after=after, limit=limit
            ),
            lambda user: user.name.lower(),
            marker,
            max_items,
        )
        last_used = passwords_last_used(connection, [user.id for user in page.items])
    users = [user_view(user, last_used.get(user.id)) for user in page.items]
    return UserList(users, page.is_truncated, page.marker)


def update_user(
    services: Services,
    caller: Caller,
    *,
    user_name: str,
    new_path: str | None = None,
    new_user_name: str | None = None,
) -> None:
    """Rename or move a user (AWS IAM UpdateUser): its policies, keys and unique id stay, its ARN changes.

    The caller needs the permission on both ARNs. Raises AlreadyExists.
    """
    user = authorized_entity(services, caller, "iam:UpdateUser", "user", user_name)
    name, path = new_user_name or user.name, new_path or user.path
    arn = user_arn(user.account, path, name)
    if arn != user.arn:
        authorize(services, caller, "iam:UpdateUser", arn)
    with services.database.change() as connection:
        changeable(connection, user)
        other = find_entity_by_name(connection, user.account, "user", name)
        if other is not None and other.id != user.id:
            raise AlreadyExists(f"User with name {name} already exists.")
        rename_entity(connection, user.id, name=name, path=path, arn=arn)
        record_change(connection, caller)


def delete_user(services: Services, caller: Caller, *, user_name: str) -> None:
    """Delete a user that has nothing any more (AWS IAM DeleteUser). Raises DeleteConflict."""
    user = authorized_entity(services, caller, "iam:DeleteUser", "user", user_name)
    with services.database.change() as connection:
        changeable(connection, user)
        check_bare(connection, user)
        delete_entity(connection, user.id)
        record_change(connection, caller)


def tag_user(services: Services, caller: Caller, *, user_name: str, tags: Sequence[Tag]) -> None:
    """Add tags, or give them new values (AWS IAM TagUser)."""
    tag_entity(services, caller, "iam:TagUser", "user", user_name, tags)


def untag_user(services: Services, caller: Caller, *, user_name: str, tag_keys: Sequence[str]) -> None:
    """Take tags away (AWS IAM UntagUser)."""
    untag_entity(services, caller, "iam:UntagUser", "user", user_name, tag_keys)


def list_user_tags(
    services: Services, caller: Caller, *, user_name: str, marker: str | None = None, max_items: int | None = None
) -> TagList:
    """A user's tags, by key (AWS IAM ListUserTags)."""
    return list_entity_tags(services, caller, "iam:ListUserTags", "user", user_name, marker, max_items)


def put_user_permissions_boundary(
    services: Services, caller: Caller, *, user_name: str, permissions_boundary: str
) -> None:
    """Limit what the user's policies can allow (AWS IAM PutUserPermissionsBoundary). Raises NotFound."""
    put_boundary(services, caller, "iam:PutUserPermissionsBoundary", "user", user_name, permissions_boundary)


def delete_user_permissions_boundary(services: Services, caller: Caller, *, user_name: str) -> None:
    """Take the limit away (AWS IAM DeleteUserPermissionsBoundary)."""
    remove_boundary(services, caller, "iam:DeleteUserPermissionsBoundary", "user", user_name)


def user_view(user: Entity, last_used: int | None = None, *, detailed: bool = False) -> UserView:
    """A user as the wire shows it; ``last_used`` is when its password was, in seconds since the epoch."""
    return UserView(
        user.path,
        user.name,
        user.id,
        user.arn,
        datetime.fromtimestamp(user.created_at, UTC),
        None if last_used is None else datetime.fromtimestamp(last_used, UTC),
        boundary_of(user) if detailed else None,
        (tags_of(user.tags) or None) if detailed else None,
    )
