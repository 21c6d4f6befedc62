"""The interface of every identity provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class IdToken:
    """An OpenID Connect ID token or other signed JWT, as received."""

    token: str


Evidence = IdToken


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """A verified external identity.

    ``attributes`` holds every claim or attribute, always multi-valued; nested JSON claims under dotted names
    (``realm_access.roles``). Times are aware UTC.
    """

    provider: str
    issuer: str
    subject: str
    audience: tuple[str, ...]
    attributes: Mapping[str, tuple[str, ...]]
    assertion_id: str | None
    authenticated_at: datetime
    expires_at: datetime


class IdentityProvider(Protocol):
    """Turns evidence into an identity."""

    def authenticate(self, evidence: Evidence, *, now: datetime) -> ExternalIdentity:
        """Return the verified identity. Raises ProviderError."""
        ...
