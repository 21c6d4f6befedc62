"""LDAP providers: directories whose logins roles may trust. AWS has none: extension operations, named as AWS would.

A directory is always spoken to under TLS: ``ldaps://`` from the beginning, ``ldap://`` by StartTLS before anything is
said. Who logs in is found by a search with a service account, or is a DN made of a template. The service account's
password is sealed under the master key and never shown again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from broker.credentials.provider_secrets import seal_bind_password
from broker.domain.arn import ldap_provider_arn
from broker.domain.secret import Secret
from broker.domain.session import Tag
from broker.errors import InvalidInput
from broker.iam.entity_tags import TagList
from broker.iam.ldap_settings import LdapSettings, check_ldap_settings, settings_from_json, settings_to_json
from broker.iam.named import account_of_caller
from broker.iam.pages import page_of
from broker.iam.registrations import (
    LDAP,
    authorize_list,
    authorized_provider,
    change_settings,
    changeable_provider,
    create,
    delete,
    list_tags,
    moment,
    shown_tags,
    tag,
    untag,
)
from broker.services import Caller, Services
from broker.store.identity_providers import ProviderRecord, list_entries


@dataclass(frozen=True, slots=True)
class LdapProviderName:
    """``CreateLDAPProviderResponse`` and ``UpdateLDAPProviderResponse``."""

    ldap_provider_arn: str


@dataclass(frozen=True, slots=True)
class LdapProviderView:
    """``GetLDAPProviderResponse``: all but the password."""

    ldap_provider_arn: str
    settings: LdapSettings
    bind_password_set: bool
    create_date: datetime | None
    tags: Sequence[Tag] | None


@dataclass(frozen=True, slots=True)
class LdapProviderEntry:
    """``LDAPProviderListEntry``."""

    arn: str
    create_date: datetime | None


@dataclass(frozen=True, slots=True)
class LdapProviderList:
    """``ListLDAPProvidersResponse``."""

    ldap_provider_list: Sequence[LdapProviderEntry]
    is_truncated: bool
    marker: str | None


def create_ldap_provider(
    services: Services,
    caller: Caller,
    *,
    name: str,
    settings: LdapSettings,
    bind_password: Secret | None = None,
    tags: Sequence[Tag] = (),
) -> LdapProviderName:
    """Let roles trust a directory. Raises AlreadyExists, LimitExceeded, InvalidInput."""
    account = account_of_caller(caller)
    arn = ldap_provider_arn(account, name)
    check_ldap_settings(settings, with_password=bind_password is not None)
    record = ProviderRecord(arn, account, "ldap", arn, _stored(services, arn, settings, bind_password))
    answer = LdapProviderName(arn)
    create(services, caller, LDAP, record, tags, answer)
    return answer


def get_ldap_provider(services: Services, caller: Caller, *, ldap_provider_arn: str) -> LdapProviderView:
    """What is registered."""
    found = authorized_provider(services, caller, "iam:GetLDAPProvider", LDAP, ldap_provider_arn)
    settings = found.record.settings
    return LdapProviderView(
        ldap_provider_arn,
        settings_from_json(settings),
        settings["bind_password"] is not None,
        moment(found.created_at),
        shown_tags(found.tags),
    )


def list_ldap_providers(
    services: Services, caller: Caller, *, marker: str | None = None, max_items: int | None = None
) -> LdapProviderList:
    """The account's directories, by name."""
    account = authorize_list(services, caller, LDAP)
    with services.database.read() as connection:
        page = page_of(
            lambda after, limit: list_entries(connection, account, "ldap", after=after, limit=limit),
            lambda entry: entry.arn.rpartition("/")[2].lower(),
            marker,
            max_items,
        )
    shown = [LdapProviderEntry(entry.arn, moment(entry.created_at)) for entry in page.items]
    return LdapProviderList(shown, page.is_truncated, page.marker)


def update_ldap_provider(
    services: Services,
    caller: Caller,
    *,
    ldap_provider_arn: str,
    settings: LdapSettings,
    bind_password: Secret | None = None,
) -> LdapProviderName:
    """Replace the settings, all of them.

    Without a password the present one stays, but only for the same account at the same servers under the same
    authority: else whoever may change a provider could have the password sent to a server of his own.
    """
    provider = authorized_provider(services, caller, "iam:UpdateLDAPProvider", LDAP, ldap_provider_arn)
    answer = LdapProviderName(ldap_provider_arn)
    with services.database.change() as connection:
        record = changeable_provider(connection, LDAP, provider).record
        stored = _stored(services, record.arn, settings, bind_password)
        if bind_password is None and settings.bind_dn is not None:
            if _goes_to(record.settings) != _goes_to(stored):
                raise InvalidInput(
                    "BindPassword must be given with new Servers, ReferralServers, CertificateAuthority or BindDN."
                )
            stored["bind_password"] = record.settings["bind_password"]
        check_ldap_settings(settings, with_password=stored["bind_password"] is not None)
        change_settings(connection, caller, replace(record, settings=stored), answer)
    return answer


def delete_ldap_provider(services: Services, caller: Caller, *, ldap_provider_arn: str) -> None:
    """Trust the directory no more."""
    delete(services, caller, LDAP, ldap_provider_arn)


def tag_ldap_provider(services: Services, caller: Caller, *, ldap_provider_arn: str, tags: Sequence[Tag]) -> None:
    """Add tags, or give them new values."""
    tag(services, caller, LDAP, ldap_provider_arn, tags)


def untag_ldap_provider(services: Services, caller: Caller, *, ldap_provider_arn: str, tag_keys: Sequence[str]) -> None:
    """Take tags away."""
    untag(services, caller, LDAP, ldap_provider_arn, tag_keys)


def list_ldap_provider_tags(
    services: Services,
    caller: Caller,
    *,
    ldap_provider_arn: str,
    marker: str | None = None,
    max_items: int | None = None,
) -> TagList:
    """A provider's tags, by key."""
    return list_tags(services, caller, LDAP, ldap_provider_arn, marker, max_items)


def _stored(services: Services, arn: str, settings: LdapSettings, password: Secret | None) -> dict[str, Any]:
    """The settings as JSON."""
    sealed = None if password is None else seal_bind_password(services.master_key, arn, password)
    return {**settings_to_json(settings), "bind_password": sealed, "any_network": False}


def _goes_to(stored: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides who gets the password."""
    return stored["servers"], stored["referral_servers"], stored["certificate_authority"], stored["bind_dn"]
