"""Every kind of identity provider, and how one is made of its registration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from providers.base import IdentityProvider
from providers.fetch import Fetcher, Trust
from providers.oidc.claims import ClaimRules
from providers.oidc.discovery import fetch_keys
from providers.oidc.jwks import FetchedKeys, FetchGate, StaticKeys, parse_jwks
from providers.oidc.provider import KeySource, OidcProvider
from providers.saml.checks import SamlRules
from providers.saml.encryption import DecryptionRules, load_private_key
from providers.saml.metadata import parse_metadata
from providers.saml.provider import SamlProvider
from providers.saml.response import KeyRules
from providers.saml.xmlsig import load_key


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What providers share: how they fetch, how many requests may wait for that, and for how long (seconds).

    ``unseal`` opens a private key (PEM) of a registration: it takes the provider's name and the sealed text.
    """

    fetcher: Fetcher
    gate: FetchGate
    keys_fresh_seconds: float
    wait_seconds: float
    unseal: Callable[[str, str], str]


Factory = Callable[[str, Mapping[str, Any], Surroundings], IdentityProvider]
"""Name (ARN), settings of the registration, surroundings."""


def _oidc(name: str, settings: Mapping[str, Any], around: Surroundings) -> IdentityProvider:
    rules = ClaimRules(
        issuer=settings["issuer"],
        client_ids=tuple(settings["client_ids"]),
        leeway=settings["leeway_seconds"],
        max_lifetime=settings["max_lifetime_seconds"],
        allow_several_audiences=settings["allow_several_audiences"],
    )
    keys: KeySource
    if settings["jwks"] is not None:
        keys = StaticKeys(parse_jwks(settings["jwks"].encode()))
    else:
        trust = Trust(settings["ca"], tuple(settings["thumbprints"]))
        keys = FetchedKeys(
            partial(fetch_keys, around.fetcher, rules.issuer, trust),
            around.gate,
            fresh_seconds=around.keys_fresh_seconds,
            wait_seconds=around.wait_seconds,
        )
    return OidcProvider(name, rules, keys)


def _saml(name: str, settings: Mapping[str, Any], around: Surroundings) -> IdentityProvider:
    metadata = parse_metadata(settings["metadata"])
    rules = SamlRules(
        entity_id=metadata.entity_id,
        audiences=tuple(settings["audiences"]),
        acs_urls=tuple(settings["acs_urls"]),
        clock_skew=settings["clock_skew_seconds"],
        max_lifetime=settings["max_lifetime_seconds"],
        max_authentication_age=settings["max_authentication_age_seconds"],
        require_encryption=settings["assertion_encryption"] == "Required",
    )
    keys = KeyRules(
        trusted=tuple(load_key(one.der, one.fingerprint) for one in metadata.certificates),
        private=tuple(load_private_key(around.unseal(name, sealed)) for sealed in _sealed_keys(settings)),
        allow_sha1=settings["allow_sha1"],
        decryption=DecryptionRules(settings["allow_rsa_1_5"], settings["allow_cbc"]),
    )
    return SamlProvider(name, metadata, rules, keys)


def _sealed_keys(settings: Mapping[str, Any]) -> list[str]:
    """Those that were registered, and the one of our own metadata."""
    own = settings.get("service_key")
    return [*settings["sealed_private_keys"], *([own["sealed"]] if own else [])]


FACTORIES: Mapping[str, Factory] = {"oidc": _oidc, "saml": _saml}
