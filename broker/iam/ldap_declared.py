"""A directory of the configuration file, under the same checks as one that is registered by API."""

from __future__ import annotations

import re

import msgspec

from broker.credentials.provider_secrets import seal_bind_password
from broker.domain.arn import ldap_provider_arn
from broker.domain.secret import Secret
from broker.errors import InvalidInput
from broker.iam.ldap_settings import (
    GroupSearch,
    LdapSettings,
    SessionTag,
    UserSearch,
    check_ldap_settings,
    settings_to_json,
)
from broker.settings import LdapProviderEntry
from broker.store.identity_providers import ProviderRecord

_OTHERS = (
    "servers",
    "attributes",
    "referral_servers",
    "connect_timeout_seconds",
    "timeout_seconds",
    "page_size",
    "allow_query_login",
    "sync_seconds",
    "recheck_seconds",
    "sync_threshold_percent",
)
_SERVER = re.compile(r"ldaps?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_RANGES = {
    "connect_timeout_seconds": (1, 60),
    "timeout_seconds": (1, 60),
    "page_size": (1, 1_000),
    "sync_seconds": (0, 86_400),
    "recheck_seconds": (0, 86_400),
    "sync_threshold_percent": (1, 100),
}
"""As the model of the wire has them (``aws/extensions.json``; a test compares)."""


def declared_ldap_record(
    master_key: bytes, account: str, entry: LdapProviderEntry, authority: str | None, password: Secret | None
) -> ProviderRecord:
    """The provider's record. Raises InvalidInput, which speaks of the members as the API calls them."""
    settings = _settings(entry, authority)
    _check_form(settings)
    check_ldap_settings(settings, with_password=password is not None)
    arn = ldap_provider_arn(account, entry.name)
    sealed = None if password is None else seal_bind_password(master_key, arn, password)
    kept = {**settings_to_json(settings), "bind_password": sealed, "any_network": True}
    return ProviderRecord(arn, account, "ldap", arn, kept)


def _settings(entry: LdapProviderEntry, authority: str | None) -> LdapSettings:
    user, group = entry.user_search, entry.group_search
    return LdapSettings(
        certificate_authority=authority,
        bind_dn=entry.bind_dn or None,
        user_search=None if user is None else UserSearch(**msgspec.structs.asdict(user)),
        user_dn_template=entry.user_dn_template or None,
        group_search=None if group is None else GroupSearch(**msgspec.structs.asdict(group)),
        session_tags=tuple(SessionTag(key, attribute) for key, attribute in entry.session_tags.items()),
        source_identity_attribute=entry.source_identity_attribute or None,
        session_name_attribute=entry.session_name_attribute or None,
        unique_id_attribute=entry.unique_id_attribute or None,
        username_attribute=entry.username_attribute or None,
        **{name: getattr(entry, name) for name in _OTHERS},
    )


def _check_form(settings: LdapSettings) -> None:
    """What the wire's model refuses before anybody else looks."""
    if not settings.servers:
        raise InvalidInput("Servers must not be empty.")
    for url in (*settings.servers, *settings.referral_servers):
        if not _SERVER.fullmatch(url):
            raise InvalidInput(f"Servers: {url} is not ldaps://HOST[:PORT] or ldap://HOST[:PORT].")
    named = [tag.attribute for tag in settings.session_tags]
    named += [one for one in settings.attributes if one != "*"]
    single = (
        settings.source_identity_attribute,
        settings.session_name_attribute,
        settings.unique_id_attribute,
        settings.username_attribute,
    )
    for attribute in (*named, *(one for one in single if one is not None)):
        if not _ATTRIBUTE.fullmatch(attribute):
            raise InvalidInput(f"{attribute} is no attribute's name.")
    for member, (least, most) in _RANGES.items():
        if not least <= getattr(settings, member) <= most:
            raise InvalidInput(f"{member} must be between {least} and {most}.")
