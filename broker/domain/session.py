"""A session: what temporary credentials carry and what evaluation needs of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec


@dataclass(frozen=True, slots=True)
class Tag:
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class PolicyDescriptor:
    """A managed policy named as session policy (STS ``PolicyDescriptorType``)."""

    arn: str


class SessionKind(StrEnum):
    """How the session came to be: a role assumed, GetSessionToken, GetFederationToken."""

    ROLE = "role"
    USER = "user"
    FEDERATED_USER = "federated-user"


class Session(msgspec.Struct, frozen=True, array_like=True):
    """Temporary credentials' life, from ``issued_at`` to ``expires_at`` (aware UTC).

    A session token holds it as it is, the fields in this order: they are only ever appended, and a change of meaning is
    a new version of the token.

    ``owner_arn`` and ``owner_id`` name what stands behind it: the role, the user, or the account's root user.
    ``tags`` are the session tags, ``transitive_tag_keys`` those of them that a chained session inherits.
    ``session_policy`` is the inline document, ``session_policy_arns`` the managed ones; both only narrow.
    ``chained`` says that the caller's own credentials were temporary: its duration is capped at one hour.
    ``federation`` holds the context keys of the external identity that stay for the session's life
    (``issuer:sub``, ``issuer:aud``, …); ``provider`` is the value of ``aws:FederatedProvider``.
    ``ancestors`` are the access key ids of the sessions that it was chained from, ``subject`` is the external
    subject at the chain's beginning with its provider's ARN: revoking any of them ends this session too.
    ``chain_started_at`` is when the chain's first session was issued (None for that one), ``source_account`` the
    account in which the source identity was set.
    """

    account: str
    owner_arn: str
    owner_id: str
    session_name: str
    issued_at: datetime
    expires_at: datetime
    chained: bool = False
    tags: Mapping[str, str] = msgspec.field(default_factory=dict)
    transitive_tag_keys: tuple[str, ...] = ()
    source_identity: str | None = None
    session_policy: str | None = None
    session_policy_arns: tuple[str, ...] = ()
    provider: str | None = None
    federation: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    mfa_authenticated_at: datetime | None = None
    kind: SessionKind = SessionKind.ROLE
    ancestors: tuple[str, ...] = ()
    subject: tuple[str, str] | None = None
    chain_started_at: datetime | None = None
    source_account: str | None = None
