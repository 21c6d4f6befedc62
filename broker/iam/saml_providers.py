"""SAML providers: identity providers whose assertions roles may trust (IAM User Guide, "SAML 2.0 federation").

A provider is its metadata document, and up to two private keys that decrypt assertions while keys roll over. The keys
are sealed under the master key and never shown again.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from broker.domain.arn import saml_provider_arn
from broker.domain.secret import Secret
from broker.domain.session import Tag
from broker.errors import InvalidInput, LimitExceeded, NotFound, ValidationFailed
from broker.iam.entity_tags import TagList
from broker.iam.named import account_of_caller
from broker.iam.registrations import (
    SAML,
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
from broker.identifiers import random_bytes
from broker.saml_providers import make_saml_record, metadata_end, read_saml_metadata, seal_private_key
from broker.services import Caller, Services

MAX_PRIVATE_KEYS = 2


@dataclass(frozen=True, slots=True)
class CreatedSamlProvider:
    """IAM ``CreateSAMLProviderResponse``."""

    saml_provider_arn: str
    tags: Sequence[Tag] | None


@dataclass(frozen=True, slots=True)
class UpdatedSamlProvider:
    """IAM ``UpdateSAMLProviderResponse``."""

    saml_provider_arn: str


@dataclass(frozen=True, slots=True)
class SamlPrivateKey:
    """IAM ``SAMLPrivateKey``: all that is shown of a key."""

    key_id: str
    timestamp: datetime | None


@dataclass(frozen=True, slots=True)
class SamlProviderView:
    """IAM ``GetSAMLProviderResponse``."""

    saml_provider_uuid: str | None
    saml_metadata_document: str
    create_date: datetime | None
    valid_until: datetime | None
    assertion_encryption_mode: str
    private_key_list: Sequence[SamlPrivateKey] | None
    tags: Sequence[Tag] | None


@dataclass(frozen=True, slots=True)
class SamlProviderEntry:
    """IAM ``SAMLProviderListEntry``."""

    arn: str
    valid_until: datetime | None
    create_date: datetime | None


@dataclass(frozen=True, slots=True)
class SamlProviderList:
    """IAM ``ListSAMLProvidersResponse``."""

    saml_provider_list: Sequence[SamlProviderEntry]


def create_saml_provider(
    services: Services,
    caller: Caller,
    *,
    saml_metadata_document: str,
    name: str,
    tags: Sequence[Tag] = (),
    assertion_encryption_mode: str | None = None,
    add_private_key: Secret | None = None,
) -> CreatedSamlProvider:
    """Let roles trust an identity provider (AWS IAM CreateSAMLProvider). Raises AlreadyExists, LimitExceeded."""
    account = account_of_caller(caller)
    arn = saml_provider_arn(account, name)
    with _invalid_input():
        settings = {
            "uuid": _new_id(),
            "audiences": [services.settings.saml_entity_id(account, name)],
            "acs_urls": [services.settings.saml_acs_url(account, name)],
            "assertion_encryption": assertion_encryption_mode or "Allowed",
            **_joined([] if add_private_key is None else [_sealed(services, caller, arn, add_private_key)]),
        }
        _check_encryption(settings)
        record = make_saml_record(account, name, saml_metadata_document, caller.now, settings)
    answer = CreatedSamlProvider(arn, list(tags) or None)
    create(services, caller, SAML, record, tags, answer)
    return answer


def get_saml_provider(services: Services, caller: Caller, *, saml_provider_arn: str) -> SamlProviderView:
    """What is registered (AWS IAM GetSAMLProvider)."""
    found = authorized_provider(services, caller, "iam:GetSAMLProvider", SAML, saml_provider_arn)
    settings = found.record.settings
    return SamlProviderView(
        settings.get("uuid"),
        settings["metadata"],
        moment(found.created_at),
        moment(settings.get("valid_until")),
        settings["assertion_encryption"],
        [SamlPrivateKey(key["id"], moment(key["added_at"])) for key in settings.get("private_keys", ())] or None,
        shown_tags(found.tags),
    )


def list_saml_providers(services: Services, caller: Caller) -> SamlProviderList:
    """The account's providers (AWS IAM ListSAMLProviders)."""
    entries = authorized_entries(services, caller, SAML)
    return SamlProviderList(
        [SamlProviderEntry(entry.arn, moment(entry.valid_until), moment(entry.created_at)) for entry in entries]
    )


def update_saml_provider(
    services: Services,
    caller: Caller,
    *,
    saml_provider_arn: str,
    saml_metadata_document: str | None = None,
    assertion_encryption_mode: str | None = None,
    add_private_key: Secret | None = None,
    remove_private_key: str | None = None,
) -> UpdatedSamlProvider:
    """Replace the metadata, or change how assertions are encrypted (AWS IAM UpdateSAMLProvider).

    "To rotate private keys, add your new private key and then remove the old key in a separate request."
    Raises InvalidInput, LimitExceeded for a third key, NotFound for one that is not there.
    """
    if add_private_key is not None and remove_private_key is not None:
        raise InvalidInput("Add a private key and remove one in separate requests.")
    provider = authorized_provider(services, caller, "iam:UpdateSAMLProvider", SAML, saml_provider_arn)
    changed: dict[str, Any] = {}
    metadata = None
    with _invalid_input():
        if saml_metadata_document is not None:
            metadata = read_saml_metadata(saml_metadata_document, caller.now)
            changed |= {"metadata": saml_metadata_document, "valid_until": metadata_end(metadata)}
        if assertion_encryption_mode is not None:
            changed["assertion_encryption"] = assertion_encryption_mode
        added = [] if add_private_key is None else [_sealed(services, caller, saml_provider_arn, add_private_key)]
    answer = UpdatedSamlProvider(saml_provider_arn)
    with services.database.change() as connection:
        record = changeable_provider(connection, SAML, provider).record
        kept = _keys_without(remove_private_key, record.settings)
        if added and len(kept) >= MAX_PRIVATE_KEYS:
            raise LimitExceeded(f"Cannot exceed quota for PrivateKeysPerSAMLProvider: {MAX_PRIVATE_KEYS}")
        settings = {**record.settings, **changed, **_joined([*kept, *added])}
        _check_encryption(settings)
        issuer = record.issuer if metadata is None else metadata.entity_id
        change_settings(connection, caller, replace(record, issuer=issuer, settings=settings), answer)
    return answer


def delete_saml_provider(services: Services, caller: Caller, *, saml_provider_arn: str) -> None:
    """Trust the provider no more (AWS IAM DeleteSAMLProvider)."""
    delete(services, caller, SAML, saml_provider_arn)


def tag_saml_provider(services: Services, caller: Caller, *, saml_provider_arn: str, tags: Sequence[Tag]) -> None:
    """Add tags, or give them new values (AWS IAM TagSAMLProvider)."""
    tag(services, caller, SAML, saml_provider_arn, tags)


def untag_saml_provider(services: Services, caller: Caller, *, saml_provider_arn: str, tag_keys: Sequence[str]) -> None:
    """Take tags away (AWS IAM UntagSAMLProvider)."""
    untag(services, caller, SAML, saml_provider_arn, tag_keys)


def list_saml_provider_tags(
    services: Services,
    caller: Caller,
    *,
    saml_provider_arn: str,
    marker: str | None = None,
    max_items: int | None = None,
) -> TagList:
    """A provider's tags, by key (AWS IAM ListSAMLProviderTags)."""
    return list_tags(services, caller, SAML, saml_provider_arn, marker, max_items)


@contextmanager
def _invalid_input() -> Iterator[None]:
    """What cannot be used is AWS's InvalidInput."""
    try:
        yield
    except ValidationFailed as error:
        raise InvalidInput(f"{error.message[:1].upper()}{error.message[1:]}") from None


_Key = tuple[dict[str, Any], str]
"""What is shown of a private key, and the key, sealed."""


def _sealed(services: Services, caller: Caller, arn: str, key: Secret) -> _Key:
    shown = {"id": _new_id(), "added_at": int(caller.now.timestamp())}
    return shown, seal_private_key(services.master_key, arn, key.reveal())


def _joined(keys: Sequence[_Key]) -> dict[str, Any]:
    """Keys as the settings keep them."""
    return {"private_keys": [shown for shown, _ in keys], "sealed_private_keys": [sealed for _, sealed in keys]}


def _keys_without(key_id: str | None, settings: Mapping[str, Any]) -> list[_Key]:
    present = list(zip(settings["private_keys"], settings["sealed_private_keys"], strict=True))
    left = [(shown, sealed) for shown, sealed in present if shown["id"] != key_id]
    if key_id is not None and len(left) == len(present):
        raise NotFound(f"The private key with id {key_id} cannot be found.")
    return left


def _check_encryption(settings: Mapping[str, Any]) -> None:
    if settings["assertion_encryption"] == "Required" and not settings["sealed_private_keys"]:
        raise InvalidInput("Encryption cannot be required without a private key that decrypts assertions.")


def _new_id() -> str:
    """32 letters and digits, as AWS names private keys and SAML providers."""
    return base64.b32encode(random_bytes(20)).decode("ascii")
