"""OpenID Connect providers: issuers whose tokens roles may trust (IAM User Guide, "OIDC federation").

Creating one fetches nothing, unlike AWS: an issuer that cannot be reached now is registered all the same, and its keys
are fetched by ``providers.fetch``'s rules once a token comes. Thumbprints only narrow what TLS has verified; without
any, the system's authorities decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from broker.domain.arn import oidc_provider_arn
from broker.domain.session import Tag
from broker.errors import InvalidInput, LimitExceeded
from broker.iam.entity_tags import TagList
from broker.iam.named import account_of_caller
from broker.iam.registrations import (
    OIDC,
    authorized_entries,
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
from broker.issuer_urls import check_issuer
from broker.services import Caller, Services
from broker.settings import OidcProviderEntry as DeclaredProvider
from broker.store.identity_providers import ProviderRecord

MAX_THUMBPRINTS = 5
_THUMBPRINT = re.compile(r"[0-9A-Fa-f]{40}")


@dataclass(frozen=True, slots=True)
class CreatedOidcProvider:
    """IAM ``CreateOpenIDConnectProviderResponse``."""

    open_id_connect_provider_arn: str
    tags: Sequence[Tag] | None


@dataclass(frozen=True, slots=True)
class OidcProviderView:
    """IAM ``GetOpenIDConnectProviderResponse``. ``url`` is without its scheme, as AWS shows it."""

    url: str
    client_id_list: Sequence[str]
    thumbprint_list: Sequence[str]
    create_date: datetime | None
    tags: Sequence[Tag] | None


@dataclass(frozen=True, slots=True)
class OidcProviderEntry:
    """IAM ``OpenIDConnectProviderListEntry``."""

    arn: str


@dataclass(frozen=True, slots=True)
class OidcProviderList:
    """IAM ``ListOpenIDConnectProvidersResponse``."""

    open_id_connect_provider_list: Sequence[OidcProviderEntry]


def create_open_id_connect_provider(
    services: Services,
    caller: Caller,
    *,
    url: str,
    client_id_list: Sequence[str] = (),
    thumbprint_list: Sequence[str] = (),
    tags: Sequence[Tag] = (),
) -> CreatedOidcProvider:
    """Let roles trust an issuer (AWS IAM CreateOpenIDConnectProvider). Raises AlreadyExists, LimitExceeded."""
    account = account_of_caller(caller)
    check_issuer(url, allow_http_loopback=services.settings.fetch.allow_http_loopback)
    arn = oidc_provider_arn(account, url)
    settings = {
        **_DEFAULTS,
        "issuer": url,
        "client_ids": _client_ids(client_id_list, services.settings.quotas.client_ids),
        "thumbprints": _thumbprints(thumbprint_list),
    }
    answer = CreatedOidcProvider(arn, list(tags) or None)
    create(services, caller, OIDC, ProviderRecord(arn, account, "oidc", url, settings), tags, answer)
    return answer


def get_open_id_connect_provider(
    services: Services, caller: Caller, *, open_id_connect_provider_arn: str
) -> OidcProviderView:
    """What is registered (AWS IAM GetOpenIDConnectProvider)."""
    action = "iam:GetOpenIDConnectProvider"
    found = authorized_provider(services, caller, action, OIDC, open_id_connect_provider_arn)
    settings = found.record.settings
    return OidcProviderView(
        found.record.issuer.partition("://")[2],
        settings["client_ids"],
        settings["thumbprints"],
        moment(found.created_at),
        shown_tags(found.tags),
    )


def list_open_id_connect_providers(services: Services, caller: Caller) -> OidcProviderList:
    """The account's issuers (AWS IAM ListOpenIDConnectProviders)."""
    entries = authorized_entries(services, caller, OIDC)
    return OidcProviderList([OidcProviderEntry(entry.arn) for entry in entries])


def delete_open_id_connect_provider(services: Services, caller: Caller, *, open_id_connect_provider_arn: str) -> None:
    """Trust the issuer no more (AWS IAM DeleteOpenIDConnectProvider)."""
    delete(services, caller, OIDC, open_id_connect_provider_arn)


def add_client_id_to_open_id_connect_provider(
    services: Services, caller: Caller, *, open_id_connect_provider_arn: str, client_id: str
) -> None:
    """Take tokens for one more audience (AWS IAM AddClientIDToOpenIDConnectProvider); idempotent."""
    limit = services.settings.quotas.client_ids
    update_settings(
        services,
        caller,
        "iam:AddClientIDToOpenIDConnectProvider",
        open_id_connect_provider_arn,
        lambda settings: {"client_ids": _client_ids([*settings["client_ids"], client_id], limit)},
    )


def remove_client_id_from_open_id_connect_provider(
    services: Services, caller: Caller, *, open_id_connect_provider_arn: str, client_id: str
) -> None:
    """Take tokens for an audience no more (AWS IAM RemoveClientIDFromOpenIDConnectProvider); idempotent."""
    update_settings(
        services,
        caller,
        "iam:RemoveClientIDFromOpenIDConnectProvider",
        open_id_connect_provider_arn,
        lambda settings: {"client_ids": [one for one in settings["client_ids"] if one != client_id]},
    )


def update_open_id_connect_provider_thumbprint(
    services: Services, caller: Caller, *, open_id_connect_provider_arn: str, thumbprint_list: Sequence[str]
) -> None:
    """Replace the thumbprints (AWS IAM UpdateOpenIDConnectProviderThumbprint)."""
    thumbprints = _thumbprints(thumbprint_list)
    update_settings(
        services,
        caller,
        "iam:UpdateOpenIDConnectProviderThumbprint",
        open_id_connect_provider_arn,
        lambda settings: {"thumbprints": thumbprints},
    )


def tag_open_id_connect_provider(
    services: Services, caller: Caller, *, open_id_connect_provider_arn: str, tags: Sequence[Tag]
) -> None:
    """Add tags, or give them new values (AWS IAM TagOpenIDConnectProvider)."""
    tag(services, caller, OIDC, open_id_connect_provider_arn, tags)


def untag_open_id_connect_provider(
    services: Services, caller: Caller, *, open_id_connect_provider_arn: str, tag_keys: Sequence[str]
) -> None:
    """Take tags away (AWS IAM UntagOpenIDConnectProvider)."""
    untag(services, caller, OIDC, open_id_connect_provider_arn, tag_keys)


def list_open_id_connect_provider_tags(
    services: Services,
    caller: Caller,
    *,
    open_id_connect_provider_arn: str,
    marker: str | None = None,
    max_items: int | None = None,
) -> TagList:
    """A provider's tags, by key (AWS IAM ListOpenIDConnectProviderTags)."""
    return list_tags(services, caller, OIDC, open_id_connect_provider_arn, marker, max_items)


def update_settings(
    services: Services,
    caller: Caller,
    action: str,
    arn: str,
    changed: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    """Lay what ``changed`` makes of the provider's settings over them."""
    provider = authorized_provider(services, caller, action, OIDC, arn)
    with services.database.change() as connection:
        record = changeable_provider(connection, OIDC, provider).record
        settings = dict(record.settings)
        change_settings(connection, caller, replace(record, settings={**settings, **changed(settings)}))


_ENTRY = DeclaredProvider(issuer="", client_ids=())
_DEFAULTS: dict[str, Any] = {
    "leeway_seconds": _ENTRY.leeway_seconds,
    "max_lifetime_seconds": _ENTRY.max_lifetime_seconds,
    "allow_several_audiences": _ENTRY.allow_several_audiences,
    "jwks": None,
    "ca": None,
}
"""What AWS's operations cannot say; as in the configuration file."""


def _client_ids(given: Sequence[str], limit: int) -> list[str]:
    found = list(dict.fromkeys(given))
    if len(found) > limit:
        raise LimitExceeded(f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {limit}")
    return found


def _thumbprints(given: Sequence[str]) -> list[str]:
    if len(given) > MAX_THUMBPRINTS:
        raise InvalidInput(f"Thumbprint list must contain no more than {MAX_THUMBPRINTS} entries.")
    if not all(_THUMBPRINT.fullmatch(one) for one in given):
        raise InvalidInput("A thumbprint is the SHA-1 of a certificate: 40 hexadecimal digits.")
    return [one.lower() for one in given]
