"""Roles as the wire shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from broker.domain.role import Role
from broker.domain.session import Tag
from broker.iam.boundaries import AttachedBoundary
from broker.iam.tags import tags_of
from broker.iam.trust_policies import shown_roles
from broker.store.role_usage import find_role_usage


@dataclass(frozen=True, slots=True)
class RoleLastUsed:
    """IAM ``RoleLastUsed``; empty for a role that nobody used."""

    last_used_date: datetime | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class RoleView:
    """IAM ``Role``. Lists leave out the boundary, the tags and the last use."""

    path: str
    role_name: str
    role_id: str
    arn: str
    create_date: datetime
    assume_role_policy_document: str
    description: str | None
    max_session_duration: int
    permissions_boundary: AttachedBoundary | None = None
    tags: Sequence[Tag] | None = None
    role_last_used: RoleLastUsed | None = None


def role_views(connection: Connection, roles: Sequence[Role]) -> list[RoleView]:
    """As lists show them."""
    return [_view(role) for role in shown_roles(connection, roles)]


def detailed_view(connection: Connection, role: Role) -> RoleView:
    """With everything."""
    shown = shown_roles(connection, [role])[0]
    return _view(shown, last_used_view(find_role_usage(connection, role.role_id)), detailed=True)


def last_used_view(used: tuple[int, str] | None) -> RoleLastUsed:
    return RoleLastUsed() if used is None else RoleLastUsed(datetime.fromtimestamp(used[0], UTC), used[1])


def _view(role: Role, last_used: RoleLastUsed | None = None, *, detailed: bool = False) -> RoleView:
    boundary = role.permissions_boundary if detailed else None
    return RoleView(
        role.path,
        role.name,
        role.role_id,
        role.arn,
        role.created_at,
        role.trust_policy,
        role.description or None,
        role.max_session_duration,
        None if boundary is None else AttachedBoundary(boundary),
        (tags_of(role.tags) or None) if detailed else None,
        last_used,
    )
