"""Identity providers of any kind as objects of an account: named by their ARN, tagged, changed and deleted alike.

Whether a provider exists is told only to those who may ask: what is authorised is the ARN as the request gives it, with
the tags of the provider if there is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from broker.authorization import authorize
from broker.domain.session import Tag
from broker.errors import AlreadyExists, InvalidInput, LimitExceeded, NotFound
from broker.iam.changes import record_change
from broker.iam.entity_tags import TagList, tag_list
from broker.iam.named import account_of_caller, declared, resource_tag_context
from broker.iam.tags import parse_tags, tag_request, tagged, tags_of, untag_request, untagged
from broker.services import Caller, Services
from broker.store.identity_providers import (
    ProviderEntry,
    ProviderKind,
    ProviderRecord,
    Registration,
    count_providers,
    delete_provider,
    find_registration,
    insert_provider,
    is_registered,
    list_entries,
    set_provider_settings,
    set_provider_tags,
)

_ARN = re.compile(r"arn:aws:iam::[0-9]{12}:(?P<resource>[a-z]+-provider)/[!-~]{1,512}")


@dataclass(frozen=True, slots=True)
class Noun:
    """How a kind of provider is called: in ARNs, in the names of actions, in AWS's sentences."""

    kind: ProviderKind
    resource: str
    action: str
    quota: str
    """The quota's name with AWS; ours is ``KIND_providers``."""
    missing: str
    """AWS's sentence, before the ARN."""


OIDC = Noun(
    "oidc",
    "oidc-provider",
    "OpenIDConnectProvider",
    "OpenIdConnectProvidersPerAccount",
    "OpenIDConnect Provider not found for arn",
)
SAML = Noun("saml", "saml-provider", "SAMLProvider", "SAMLProvidersPerAccount", "Manifest not found for arn")
LDAP = Noun("ldap", "ldap-provider", "LDAPProvider", "LDAPProvidersPerAccount", "LDAP provider not found for arn")


def create(
    services: Services, caller: Caller, noun: Noun, record: ProviderRecord, tags: Sequence[Tag], answer: object
) -> None:
    """Register a provider, if the caller may, and tag it. Raises AlreadyExists, LimitExceeded."""
    given = parse_tags(tags)
    more = tag_request(given)
    authorize(services, caller, f"iam:Create{noun.action}", record.arn, more)
    if given:
        authorize(services, caller, f"iam:Tag{noun.action}", record.arn, more)
    quotas = services.settings.quotas
    limit = {"oidc": quotas.oidc_providers, "saml": quotas.saml_providers, "ldap": quotas.ldap_providers}[noun.kind]
    made = Registration(record, tagged({}, given, quotas.tags), False, int(caller.now.timestamp()))
    with services.database.change() as connection:
        if is_registered(connection, record):
            raise AlreadyExists(f"Provider with arn {record.arn} already exists.")
        if count_providers(connection, record.account, noun.kind) >= limit:
            raise LimitExceeded(f"Cannot exceed quota for {noun.quota}: {limit}")
        insert_provider(connection, made)
        record_change(connection, caller, answer)


def authorized_provider(
    services: Services,
    caller: Caller,
    action: str,
    noun: Noun,
    arn: str,
    more: Mapping[str, tuple[str, ...]] = {},  # frozen
) -> Registration:
    """The provider of this ARN, to which the caller may do ``action``. Raises InvalidInput, AccessDenied, NotFound."""
    _check_arn(noun, arn)
    with services.database.read() as connection:
        found = find_registration(connection, account_of_caller(caller), arn)
    authorize(services, caller, action, arn, {**(resource_tag_context(found.tags) if found else {}), **more})
    if found is None:
        raise _missing(noun, arn)
    return found


def changeable_provider(connection: Connection, noun: Noun, provider: Registration) -> Registration:
    """The same provider as it is in this transaction. Raises NotFound, Unmodifiable for one of the configuration."""
    record = provider.record
    found = find_registration(connection, record.account, record.arn)
    if found is None:
        raise _missing(noun, record.arn)
    if found.declared:
        raise declared(f"The provider {record.arn}")
    return found


def change_settings(connection: Connection, caller: Caller, record: ProviderRecord, answer: object = None) -> None:
    """The last step of a change of what a provider is like."""
    set_provider_settings(connection, record)
    record_change(connection, caller, answer)


def delete(services: Services, caller: Caller, noun: Noun, arn: str) -> None:
    """Delete the provider. Roles that trust it stay as they are, and let nobody of it in."""
    provider = authorized_provider(services, caller, f"iam:Delete{noun.action}", noun, arn)
    with services.database.change() as connection:
        changeable_provider(connection, noun, provider)
        delete_provider(connection, arn)
        record_change(connection, caller)


def authorized_entries(services: Services, caller: Caller, noun: Noun) -> list[ProviderEntry]:
    """All of the account's providers of this kind, by name; as in AWS, in one page."""
    account = authorize_list(services, caller, noun)
    with services.database.read() as connection:
        return list_entries(connection, account, noun.kind)


def authorize_list(services: Services, caller: Caller, noun: Noun) -> str:
    """The account whose providers the caller may list: its own."""
    account = account_of_caller(caller)
    authorize(services, caller, f"iam:List{noun.action}s", f"arn:aws:iam::{account}:{noun.resource}/*")
    return account


def tag(services: Services, caller: Caller, noun: Noun, arn: str, tags: Sequence[Tag]) -> None:
    """Add tags, or give them new values. Raises LimitExceeded."""
    given = parse_tags(tags)
    provider = authorized_provider(services, caller, f"iam:Tag{noun.action}", noun, arn, tag_request(given))
    with services.database.change() as connection:
        present = changeable_provider(connection, noun, provider).tags
        set_provider_tags(connection, arn, tagged(present, given, services.settings.quotas.tags))
        record_change(connection, caller)


def untag(services: Services, caller: Caller, noun: Noun, arn: str, keys: Sequence[str]) -> None:
    """Take tags away."""
    provider = authorized_provider(services, caller, f"iam:Untag{noun.action}", noun, arn, untag_request(keys))
    with services.database.change() as connection:
        present = changeable_provider(connection, noun, provider).tags
        set_provider_tags(connection, arn, untagged(present, keys))
        record_change(connection, caller)


def list_tags(
    services: Services, caller: Caller, noun: Noun, arn: str, marker: str | None, max_items: int | None
) -> TagList:
    """A page of the provider's tags, by key."""
    provider = authorized_provider(services, caller, f"iam:List{noun.action}Tags", noun, arn)
    return tag_list(provider.tags, marker, max_items)


def shown_tags(tags: Mapping[str, str]) -> list[Tag] | None:
    """As the answer of a Get operation has them."""
    return tags_of(tags) or None


def moment(seconds: int | None) -> datetime | None:
    """Seconds since the epoch as a time."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _check_arn(noun: Noun, arn: str) -> None:
    named = _ARN.fullmatch(arn)
    if named is None or named["resource"] != noun.resource:
        raise InvalidInput(f"Invalid ARN: {arn} is not that of an {noun.resource}")


def _missing(noun: Noun, arn: str) -> NotFound:
    return NotFound(f"{noun.missing} {arn}")
