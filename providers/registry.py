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


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What providers share: how they fetch, how many requests may wait for that, and for how long (seconds)."""

    fetcher: Fetcher
    gate: FetchGate
    keys_fresh_seconds: float
    wait_seconds: float


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


FACTORIES: Mapping[str, Factory] = {"oidc": _oidc}
