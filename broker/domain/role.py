"""Roles, and the users and policies around them, as the use cases see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Role:
    """A role. ``max_session_duration`` is in seconds (3,600 to 43,200)."""

    account: str
    name: str
    path: str
    role_id: str
    arn: str
    trust_policy: str
    max_session_duration: int
    created_at: datetime
    description: str = ""
    permissions_boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class User:
    account: str
    name: str
    path: str
    user_id: str
    arn: str
    created_at: datetime
    permissions_boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
