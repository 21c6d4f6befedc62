"""How an LDAP provider finds people and groups: its settings as they come in, are checked, and are kept as JSON.

Only the form is judged here, without asking the directory. A filter's and a template's ``{username}`` (in group filters
also ``{dn}``) stand for what somebody typed, escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from broker.domain.session import Tag
from broker.errors import ConfigurationError, InvalidInput
from broker.iam.tags import parse_tags
from broker.provider_files import check_authority

_ATTRIBUTE_TYPE = r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)"
_RDN = rf'{_ATTRIBUTE_TYPE}=(?:[^,+"\\<>;\x00-\x1f]|\\[!-~ ])+'
_DN = re.compile(rf"{_RDN}(?:[,+] ?{_RDN})*")
"""RFC 4514, without its older forms."""
_OTHER_NAME = re.compile(r"\{username\}@[A-Za-z0-9.-]+|[A-Za-z0-9.-]+\\\{username\}")
"""Active Directory's: a user principal name, or one with the domain in front."""
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_TAKEN = frozenset({"dn", "username", "groups"})
"""Condition keys that every provider has (``ldap:dn`` …), so that no attribute may be called so."""


@dataclass(frozen=True, slots=True)
class UserSearch:
    """Where people are looked for, and by which filter."""

    base_dn: str
    filter: str


@dataclass(frozen=True, slots=True)
class GroupSearch:
    """Where groups are looked for. ``nested``: how groups of groups are followed (``None``, ``Walk``, ``InChain``)."""

    base_dn: str
    filter: str
    name_attribute: str = "cn"
    nested: str = "None"


@dataclass(frozen=True, slots=True)
class SessionTag:
    """An attribute that becomes the session tag ``key``."""

    key: str
    attribute: str


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """``LDAPProviderSettings``. Without ``group_search`` groups are the values of ``memberOf``.

    ``attributes`` become condition keys (``ldap:mail``), besides those that the others name. ``user_dn_template`` makes
    a DN, or, beside ``user_search``, another name that the directory takes. Of ``sync_seconds`` and
    ``recheck_seconds`` 0 is never.
    """

    servers: Sequence[str]
    certificate_authority: str | None = None
    bind_dn: str | None = None
    user_search: UserSearch | None = None
    user_dn_template: str | None = None
    group_search: GroupSearch | None = None
    attributes: Sequence[str] = ()
    session_tags: Sequence[SessionTag] = ()
    source_identity_attribute: str | None = None
    session_name_attribute: str | None = None
    unique_id_attribute: str | None = None
    username_attribute: str | None = None
    referral_servers: Sequence[str] = ()
    connect_timeout_seconds: int = 2
    timeout_seconds: int = 5
    page_size: int = 500
    allow_query_login: bool = False
    sync_seconds: int = 900
    recheck_seconds: int = 300
    sync_threshold_percent: int = 20


def check_ldap_settings(settings: LdapSettings, *, with_password: bool) -> None:
    """Raises InvalidInput, naming the member."""
    if (settings.bind_dn is not None) != with_password:
        raise InvalidInput("BindDN and BindPassword are given together or not at all.")
    _check_people(settings)
    if settings.certificate_authority is not None:
        try:
            check_authority(settings.certificate_authority)
        except ConfigurationError as error:
            raise InvalidInput(f"CertificateAuthority {error.message}") from None
    if settings.bind_dn is not None:
        _check_dn("BindDN", settings.bind_dn)
    if settings.user_search is not None:
        _check_dn("UserSearch.BaseDN", settings.user_search.base_dn)
        _check_filter("UserSearch.Filter", settings.user_search.filter, {"{username}"})
    if settings.group_search is not None:
        _check_dn("GroupSearch.BaseDN", settings.group_search.base_dn)
        _check_filter("GroupSearch.Filter", settings.group_search.filter, {"{username}", "{dn}", "{gidNumber}"})
    _check_servers("Servers", settings.servers)
    _check_servers("ReferralServers", settings.referral_servers)
    _check_once("Attributes", settings.attributes)
    parse_tags([Tag(tag.key, "") for tag in settings.session_tags])
    if taken := {name.lower() for name in settings.attributes} & _TAKEN:
        raise InvalidInput(f"Attributes: ldap:{min(taken)} is a condition key of its own.")


def _check_people(settings: LdapSettings) -> None:
    """A template of a DN says who somebody is; with any other the entry has still to be found."""
    template = settings.user_dn_template
    if template is None:
        if settings.user_search is None:
            raise InvalidInput("Give either UserSearch or UserDNTemplate.")
        return
    _check_placeholders("UserDNTemplate", template, {"{username}"})
    if _OTHER_NAME.fullmatch(template):
        if settings.user_search is None:
            raise InvalidInput("UserDNTemplate is no distinguished name: then UserSearch is needed too.")
        return
    _check_dn("UserDNTemplate", template)
    if settings.user_search is not None:
        raise InvalidInput("Give either UserSearch or UserDNTemplate.")


def settings_to_json(settings: LdapSettings) -> dict[str, Any]:
    """As they are kept."""
    found = asdict(settings)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def settings_from_json(stored: Mapping[str, Any]) -> LdapSettings:
    """As they were given."""
    found = {field.name: stored[field.name] for field in fields(LdapSettings)}
    for name, kind in (("user_search", UserSearch), ("group_search", GroupSearch)):
        if found[name] is not None:
            found[name] = kind(**found[name])
    found["session_tags"] = [SessionTag(**tag) for tag in found["session_tags"]]
    return LdapSettings(**found)


def _check_dn(name: str, text: str) -> None:
    if not _DN.fullmatch(text):
        raise InvalidInput(f"{name} is no distinguished name.")


def _check_filter(name: str, text: str, placeholders: set[str]) -> None:
    """The parentheses must be in order; one that is meant as such is written ``\\28`` or ``\\29`` (RFC 4515)."""
    depth = 0
    for index, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0 or (depth == 0 and index != len(text) - 1):
            raise InvalidInput(f"{name} is not one filter in parentheses.")
    if depth:
        raise InvalidInput(f"{name} has a parenthesis that is not closed.")
    _check_placeholders(name, text, placeholders)


def _check_placeholders(name: str, text: str, allowed: set[str]) -> None:
    found = set(_PLACEHOLDER.findall(text))
    shown = " or ".join(sorted(allowed))
    if not found or found - allowed:
        raise InvalidInput(f"{name} needs {shown}, and can have no other placeholder.")


def _check_servers(name: str, urls: Sequence[str]) -> None:
    _check_once(name, urls)
    for url in urls:
        port = url.rpartition(":")[2]
        if port.isdecimal() and not 0 < int(port) < 65_536:
            raise InvalidInput(f"{name}: {url} has no port between 1 and 65535.")


def _check_once(name: str, values: Iterable[str]) -> None:
    folded = [value.lower() for value in values]
    if len(set(folded)) != len(folded):
        raise InvalidInput(f"{name} names something twice; case is no difference.")
