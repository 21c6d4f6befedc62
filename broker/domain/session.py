"""A role session: what its credentials carry and what evaluation needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Tag:
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class PolicyDescriptor:
    """A managed policy named as session policy (STS ``PolicyDescriptorType``)."""

    arn: str


@dataclass(frozen=True, slots=True)
class RoleSession:
    """One assumption of a role, from ``issued_at`` to ``expires_at`` (aware UTC).

    ``tags`` are the session tags, ``transitive_tag_keys`` those of them that a chained session inherits.
    ``session_policy`` is the inline document, ``session_policy_arns`` the managed ones; both only narrow.
    ``chained`` says that the caller's own credentials were temporary: its duration is capped at one hour.
    ``federation`` holds the context keys of the external identity that stay for the session's life
    (``issuer:sub``, ``issuer:aud``, …); ``provider`` is the value of ``aws:FederatedProvider``.
    """

    account: str
    role_arn: str
    role_id: str
    session_name: str
    issued_at: datetime
    expires_at: datetime
    chained: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive_tag_keys: tuple[str, ...] = ()
    source_identity: str | None = None
    session_policy: str | None = None
    session_policy_arns: tuple[str, ...] = ()
    provider: str | None = None
    federation: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mfa_authenticated_at: datetime | None = None
