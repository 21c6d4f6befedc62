"""Every kind of identity provider, and how one is made of its registration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from providers.base import IdentityProvider
from providers.fetch import Fetcher, Trust
from providers.ldap.gate import LoginGate
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

    ``unseal`` opens a private key (PEM) of a registration: it takes the provider's name and the sealed text;
    ``unseal_password`` does so with the password of a directory's service account. ``logins`` are the places of
    directory logins.
    """

    fetcher: Fetcher
    gate: FetchGate
    keys_fresh_seconds: float
    wait_seconds: float
    unseal: Callable[[str, str], str]
    unseal_password: Callable[[str, str], str] = lambda _name, sealed: sealed
    logins: LoginGate = field(default_factory=lambda: LoginGate(1))


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
        private=tuple(load_private_key(around.unseal(name, sealed)) for sealed in settings["sealed_private_keys"]),
        allow_sha1=settings["allow_sha1"],
        decryption=DecryptionRules(settings["allow_rsa_1_5"], settings["allow_cbc"]),
    )
    return SamlProvider(name, metadata, rules, keys)


def _ldap(name: str, settings: Mapping[str, Any], around: Surroundings) -> IdentityProvider:
    """ldap3 is imported where a directory is registered: it takes a quarter of a second and 8 MB."""
    from providers.ldap.groups import GroupRules
    from providers.ldap.provider import LdapProvider, LdapRules
    from providers.ldap.servers import ServiceAccount

    search, groups, sealed = settings["user_search"], settings["group_search"], settings["bind_password"]
    named = [tag["attribute"] for tag in settings["session_tags"]]
    named += [settings[of] for of in ("source_identity_attribute", "session_name_attribute") if settings[of]]
    rules = LdapRules(
        servers=tuple(settings["servers"]),
        authority=settings["certificate_authority"],
        service=ServiceAccount(
            settings["bind_dn"] or "", around.unseal_password(name, sealed).encode() if sealed else b""
        ),
        user_base=search and search["base_dn"],
        user_filter=search and search["filter"],
        user_template=settings["user_dn_template"],
        groups=groups and GroupRules(groups["base_dn"], groups["filter"], groups["name_attribute"], groups["nested"]),
        attributes=tuple(dict.fromkeys((*settings["attributes"], *named))),
        unique_id_attribute=settings["unique_id_attribute"],
        username_attribute=settings["username_attribute"],
        referral_servers=tuple(settings["referral_servers"]),
        connect_seconds=settings["connect_timeout_seconds"],
        answer_seconds=settings["timeout_seconds"],
        page_size=settings["page_size"],
    )
    anywhere = settings["any_network"]
    return LdapProvider(name, rules, around.logins, _everywhere if anywhere else around.fetcher.allows)


def _everywhere(_address: str) -> bool:
    """The configuration file says itself where the directory is."""
    return True


FACTORIES: Mapping[str, Factory] = {"oidc": _oidc, "saml": _saml, "ldap": _ldap}
