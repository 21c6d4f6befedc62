"""A registered SAML provider, as the tests of this folder ask it."""

from __future__ import annotations

from functools import cache

from realm import saml_forge as forge

from providers.fetch import Fetcher
from providers.oidc.jwks import FetchGate
from providers.registry import FACTORIES, Surroundings
from providers.saml.response import parse_saml_response

DEFAULTS = {
    "audiences": [forge.AUDIENCE],
    "acs_urls": [forge.ACS],
    "clock_skew_seconds": 60,
    "max_lifetime_seconds": 86_400,
    "max_authentication_age_seconds": 604_800,
    "assertion_encryption": "Allowed",
    "sealed_private_keys": ["sp"],
    "allow_sha1": False,
    "allow_rsa_1_5": False,
    "allow_cbc": False,
}


def make_provider(keys=(), described=None, **settings):
    """As the registry makes it; private keys are named instead of sealed."""
    metadata = forge.metadata(*keys, **(described or {}))
    around = Surroundings(Fetcher(), FetchGate(1), 0, 0, lambda name, sealed: forge.private_pem(sealed))
    return FACTORIES["saml"](forge.PROVIDER, DEFAULTS | {"metadata": metadata} | settings, around)


@cache
def standard_provider():
    return make_provider()


def find_provider(**settings):
    return make_provider(**settings) if settings else standard_provider()


def authenticate(text, provider=None, *, now=forge.NOW):
    """What a caller does with the text of a response."""
    return (provider or standard_provider()).authenticate(parse_saml_response(text), now=now)
