"""OpenID Connect Discovery 1.0: where an issuer publishes its keys."""

from __future__ import annotations

from providers.errors import MalformedEvidence, ProviderUnreachable
from providers.fetch import Fetcher, Trust
from providers.oidc.jwks import Keys, parse_jwks
from providers.oidc.token import read_object


def fetch_keys(fetcher: Fetcher, issuer: str, trust: Trust) -> tuple[Keys, int | None]:
    """The issuer's keys and for how long it says they are fresh (seconds). Raises ProviderUnreachable."""
    document = fetcher.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration", trust)
    try:
        metadata = read_object(document.body, "discovery document")
    except MalformedEvidence as error:
        raise _unusable(error.detail) from None
    if metadata.get("issuer") != issuer:
        raise _unusable(f"the document is of issuer {metadata.get('issuer')!a:.256}")
    address = metadata.get("jwks_uri")
    if not isinstance(address, str):
        raise _unusable("jwks_uri is missing")
    if issuer.startswith("https://") and not address.startswith("https://"):
        raise _unusable("jwks_uri is not https")
    keys = fetcher.get(address, trust)
    return parse_jwks(keys.body), keys.max_age


def _unusable(detail: str) -> ProviderUnreachable:
    return ProviderUnreachable("The identity provider's configuration cannot be used.", detail=f"discovery: {detail}")
