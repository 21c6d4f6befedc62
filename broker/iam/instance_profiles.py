"""Instance profiles: names under which a role is given to machines (IAM User Guide, "Using instance profiles").

Nothing here runs machines. Terraform and consoles make them beside a role, and look for them before they delete one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from broker.authorization import authorize
from broker.credentials.keyids import INSTANCE_PROFILE_ID, new_unique_id
from broker.domain.arn import instance_profile_arn
from broker.domain.session import Tag
from broker.errors import AlreadyExists, DeleteConflict, LimitExceeded, NotFound
from broker.iam.changes import record_change
from broker.iam.entity_tags import TagList, tag_list
from broker.iam.named import account_of_caller, resource_tag_context
from broker.iam.pages import Page, page_of
from broker.iam.role_views import RoleView, role_views
from broker.iam.tags import parse_tags, tag_request, tagged, tags_of, untag_request, untagged
from broker.services import Caller, Services
from broker.store import instance_profiles as store
from broker.store.instance_profiles import InstanceProfile
from broker.store.roles import find_roles_by_id


@dataclass(frozen=True, slots=True)
class InstanceProfileView:
    """IAM ``InstanceProfile``. Lists leave out the tags."""

    path: str
    instance_profile_name: str
    instance_profile_id: str
    arn: str
    create_date: datetime
    roles: Sequence[RoleView]
    tags: Sequence[Tag] | None = None


@dataclass(frozen=True, slots=True)
class InstanceProfileAnswer:
    """IAM ``CreateInstanceProfileResponse`` and ``GetInstanceProfileResponse``."""

    instance_profile: InstanceProfileView


@dataclass(frozen=True, slots=True)
class InstanceProfileList:
    """IAM ``ListInstanceProfilesResponse`` and ``ListInstanceProfilesForRoleResponse``."""

    instance_profiles: Sequence[InstanceProfileView]
    is_truncated: bool
    marker: str | None


def create_instance_profile(
    services: Services, caller: Caller, *, instance_profile_name: str, path: str = "/", tags: Sequence[Tag] = ()
) -> InstanceProfileAnswer:
    """Make an instance profile without a role (AWS IAM CreateInstanceProfile). Raises AlreadyExists, LimitExceeded."""
    account = account_of_caller(caller)
    given = parse_tags(tags)
    arn = instance_profile_arn(account, path, instance_profile_name)
    authorize(services, caller, "iam:CreateInstanceProfile", arn, tag_request(given))
    if given:
        authorize(services, caller, "iam:TagInstanceProfile", arn, tag_request(given))
    quotas = services.settings.quotas
    profile = InstanceProfile(
        new_unique_id(INSTANCE_PROFILE_ID),
        account,
        instance_profile_name,
        path,
        arn,
        None,
        tagged({}, given, quotas.tags),
        int(caller.now.timestamp()),
    )
    with services.database.change() as connection:
        if store.find_instance_profile(connection, account, instance_profile_name) is not None:
            raise AlreadyExists(f"Instance Profile {instance_profile_name} already exists.")
        if store.count_instance_profiles(connection, account) >= quotas.instance_profiles:
            raise LimitExceeded(f"Cannot exceed quota for InstanceProfilesPerAccount: {quotas.instance_profiles}")
        store.insert_instance_profile(connection, profile)
        answer = InstanceProfileAnswer(_detailed(connection, profile))
        record_change(connection, caller, answer)
    return answer


def get_instance_profile(services: Services, caller: Caller, *, instance_profile_name: str) -> InstanceProfileAnswer:
    """An instance profile with its role (AWS IAM GetInstanceProfile)."""
    profile = authorized_profile(services, caller, "iam:GetInstanceProfile", instance_profile_name)
    with services.database.read() as connection:
        return InstanceProfileAnswer(_detailed(connection, profile))


def list_instance_profiles(
    services: Services,
    caller: Caller,
    *,
    path_prefix: str = "/",
    marker: str | None = None,
    max_items: int | None = None,
) -> InstanceProfileList:
    """The account's instance profiles, by name (AWS IAM ListInstanceProfiles)."""
    account = account_of_caller(caller)
    authorize(services, caller, "iam:ListInstanceProfiles", instance_profile_arn(account, path_prefix, ""))
    with services.database.read() as connection:
        page = page_of(
            lambda after, limit: store.find_instance_profiles(
                connection, account, path_prefix=path_prefix, after=after, limit=limit
            ),
            lambda profile: profile.name.lower(),
            marker,
            max_items,
        )
        return profile_list(connection, page)


def delete_instance_profile(services: Services, caller: Caller, *, instance_profile_name: str) -> None:
    """Delete an instance profile without a role (AWS IAM DeleteInstanceProfile). Raises DeleteConflict."""
    profile = authorized_profile(services, caller, "iam:DeleteInstanceProfile", instance_profile_name)
    with services.database.change() as connection:
        if present(connection, profile).role_id is not None:
            raise DeleteConflict("Cannot delete entity, must remove roles from instance profile first.")
        store.delete_instance_profile(connection, profile.id)
        record_change(connection, caller)


def tag_instance_profile(
    services: Services, caller: Caller, *, instance_profile_name: str, tags: Sequence[Tag]
) -> None:
    """Add tags, or give them new values (AWS IAM TagInstanceProfile). Raises LimitExceeded."""
    given = parse_tags(tags)
    profile = authorized_profile(services, caller, "iam:TagInstanceProfile", instance_profile_name, tag_request(given))
    with services.database.change() as connection:
        tags_now = tagged(present(connection, profile).tags, given, services.settings.quotas.tags)
        store.set_instance_profile_tags(connection, profile.id, tags_now)
        record_change(connection, caller)


def untag_instance_profile(
    services: Services, caller: Caller, *, instance_profile_name: str, tag_keys: Sequence[str]
) -> None:
    """Take tags away (AWS IAM UntagInstanceProfile)."""
    profile = authorized_profile(
        services, caller, "iam:UntagInstanceProfile", instance_profile_name, untag_request(tag_keys)
    )
    with services.database.change() as connection:
        tags_now = untagged(present(connection, profile).tags, tag_keys)
        store.set_instance_profile_tags(connection, profile.id, tags_now)
        record_change(connection, caller)


def list_instance_profile_tags(
    services: Services,
    caller: Caller,
    *,
    instance_profile_name: str,
    marker: str | None = None,
    max_items: int | None = None,
) -> TagList:
    """An instance profile's tags, by key (AWS IAM ListInstanceProfileTags)."""
    profile = authorized_profile(services, caller, "iam:ListInstanceProfileTags", instance_profile_name)
    return tag_list(profile.tags, marker, max_items)


def authorized_profile(
    services: Services, caller: Caller, action: str, name: str, more: Mapping[str, tuple[str, ...]] = {}
) -> InstanceProfile:
    """The instance profile of this name, to which the caller may do ``action``. Raises AccessDenied, NotFound."""
    account = account_of_caller(caller)
    with services.database.read() as connection:
        found = store.find_instance_profile(connection, account, name)
    arn = instance_profile_arn(account, "/", name) if found is None else found.arn
    authorize(services, caller, action, arn, {**(resource_tag_context(found.tags) if found else {}), **more})
    if found is None:
        raise _missing(name)
    return found


def present(connection: Connection, profile: InstanceProfile) -> InstanceProfile:
    """The same instance profile as it is in this transaction. Raises NotFound if it went meanwhile."""
    found = store.find_instance_profile_by_id(connection, profile.id)
    if found is None:
        raise _missing(profile.name)
    return found


def profile_list(connection: Connection, page: Page[InstanceProfile]) -> InstanceProfileList:
    """A page as the wire shows it; the roles of all its profiles are read together."""
    ids = {profile.role_id for profile in page.items if profile.role_id is not None}
    roles = {view.role_id: view for view in role_views(connection, find_roles_by_id(connection, ids))}
    views = [_view(profile, roles.get(profile.role_id or "")) for profile in page.items]
    return InstanceProfileList(views, page.is_truncated, page.marker)


def _detailed(connection: Connection, profile: InstanceProfile) -> InstanceProfileView:
    roles = find_roles_by_id(connection, [profile.role_id] if profile.role_id else [])
    views = role_views(connection, roles)
    return _view(profile, views[0] if views else None, tags_of(profile.tags) or None)


def _view(profile: InstanceProfile, role: RoleView | None, tags: Sequence[Tag] | None = None) -> InstanceProfileView:
    created = datetime.fromtimestamp(profile.created_at, UTC)
    return InstanceProfileView(
        profile.path, profile.name, profile.id, profile.arn, created, [] if role is None else [role], tags
    )


def _missing(name: str) -> NotFound:
    return NotFound(f"Instance Profile {name} cannot be found.")
