"""The interface of every identity provider."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

import msgspec


class IdToken(msgspec.Struct, frozen=True):
    """An OpenID Connect ID token or other signed JWT, cut into its parts; nothing of it is believed yet.

    ``unverified_issuer`` may only choose the provider that is asked to verify the rest.
    """

    unverified_algorithm: str
    unverified_key_id: str | None
    unverified_issuer: str
    unverified_claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    def __repr__(self) -> str:
        return "IdToken(***)"


class SamlResponse(msgspec.Struct, frozen=True):
    """A SAML response as it came: XML of which nothing is believed yet."""

    xml: bytes

    def __repr__(self) -> str:
        return "SamlResponse(***)"


class LdapBind(msgspec.Struct, frozen=True):
    """A user name and a password as somebody typed them, for a directory to judge."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "LdapBind(***)"


Evidence = IdToken | SamlResponse | LdapBind


class ExternalIdentity(msgspec.Struct, frozen=True):
    """A verified external identity.

    ``audience`` begins with the audience that was accepted. ``attributes`` holds every claim or attribute, always
    multi-valued; nested JSON claims under dotted names (``realm_access.roles``). Times are aware UTC: after
    ``expires_at`` this provider would not take the evidence again, after ``session_ends_at`` nothing that follows from
    it may live. ``one_time``: the issuer wants it to be used once. ``warnings`` say what was let pass because the
    provider's registration allows it.
    """

    provider: str
    issuer: str
    subject: str
    audience: tuple[str, ...]
    attributes: Mapping[str, tuple[str, ...]]
    assertion_id: str | None
    authenticated_at: datetime
    expires_at: datetime
    subject_format: str | None = None
    session_ends_at: datetime | None = None
    one_time: bool = False
    warnings: tuple[str, ...] = ()


class IdentityProvider(Protocol):
    """Turns evidence into an identity."""

    def authenticate(self, evidence: Evidence, *, now: datetime) -> ExternalIdentity:
        """Return the verified identity. Raises ProviderError."""
        ...

    def prefetch(self) -> None:
        """Have ready what ``authenticate`` needs from elsewhere, without anybody waiting."""
        ...
