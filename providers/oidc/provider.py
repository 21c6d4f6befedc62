"""An OpenID Connect issuer as identity provider.

``authenticate`` in steps: 1. the key that the token names, of this issuer; 2. the algorithm, which is the key's, never
the token's choice (RFC 8725, 3.1); 3. the signature, by PyJWT; 4. the claims; 5. the identity.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from providers.base import Evidence, ExternalIdentity, IdToken
from providers.errors import MalformedEvidence, SignatureInvalid
from providers.oidc.claims import CheckedClaims, ClaimRules, check_claims, flatten, to_datetime
from providers.oidc.jwks import VerificationKey

GOOGLE = "https://accounts.google.com"
_MAX_TOKEN_ID = 256


class KeySource(Protocol):
    """Where the issuer's keys are."""

    def find(self, key_id: str | None, algorithm: str) -> VerificationKey: ...

    def prefetch(self) -> None: ...


class OidcProvider:
    """Verifies tokens of one issuer."""

    def __init__(self, provider: str, rules: ClaimRules, keys: KeySource) -> None:
        self._provider = provider
        self._rules = rules
        self._keys = keys

    def authenticate(self, evidence: Evidence, *, now: datetime) -> ExternalIdentity:
        """The identity that the token proves. Raises ProviderError."""
        if not isinstance(evidence, IdToken):
            raise MalformedEvidence("The provider takes ID tokens alone", detail="evidence of another kind")
        key = self._keys.find(evidence.unverified_key_id, evidence.unverified_algorithm)  # 1
        jwk = key.by_algorithm.get(evidence.unverified_algorithm)  # 2
        if jwk is None:
            raise SignatureInvalid(_FORGED, detail=f"the key is not for {evidence.unverified_algorithm}")
        if not jwk.Algorithm.verify(evidence.signed, jwk.key, evidence.signature):  # 3
            raise SignatureInvalid(_FORGED, detail="the signature is not by this key")
        claims = evidence.unverified_claims  # verified from here on
        checked = check_claims(claims, self._rules, now.timestamp())  # 4
        return ExternalIdentity(  # 5
            provider=self._provider,
            issuer=self._rules.issuer,
            subject=checked.subject,
            audience=checked.audience,
            attributes=_attributes(claims, self._rules, checked),
            assertion_id=_token_id(claims.get("jti")),
            authenticated_at=to_datetime(_authenticated_at(claims.get("auth_time"), checked)),
            expires_at=to_datetime(checked.expires_at),
        )

    def prefetch(self) -> None:
        self._keys.prefetch()


_FORGED = "The token's signature could not be verified"


def _attributes(claims: Any, rules: ClaimRules, checked: CheckedClaims) -> dict[str, tuple[str, ...]]:
    """For Google, AWS's key ``aud`` is the authorized party, and ``oaud`` the audience."""
    attributes = flatten(claims)
    if rules.issuer == GOOGLE and "azp" in attributes:
        attributes["oaud"], attributes["aud"] = attributes["aud"], attributes["azp"]
    return attributes


def _token_id(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_TOKEN_ID else None


def _authenticated_at(value: Any, checked: CheckedClaims) -> float:
    """``auth_time`` where it is a sensible time, else when the token was issued."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= checked.issued_at:
        return float(value)
    return checked.issued_at
