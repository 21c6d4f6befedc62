"""SAML providers: identity providers whose assertions roles may trust (IAM User Guide, "SAML 2.0 federation").

A provider is its metadata document, and up to two private keys that decrypt assertions while keys roll over. The keys
are sealed under the master key and never shown again.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from broker.credentials.private_keys import check_rsa_private_key
from broker.domain.arn import saml_provider_arn
from broker.domain.secret import Secret
from broker.domain.session import Tag
from broker.errors import InvalidInput, LimitExceeded, NotFound
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
from broker.services import Caller, Services
from broker.store.identity_providers import ProviderRecord
from providers.errors import MalformedEvidence
from providers.saml_metadata import parse_metadata

MAX_PRIVATE_KEYS = 2
_REQUIRED = "Required"


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

    saml_provider_uuid: str
    saml_metadata_document: str
    create_date: datetime | None
    valid_until: datetime | None
    assertion_encryption_mode: str | None
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
    entity_id, metadata = _read_metadata(saml_metadata_document)
    settings = {
        **metadata,
        "uuid": _new_id(),
        "encryption": assertion_encryption_mode,
        "private_keys": [] if add_private_key is None else [_seal_private_key(services, caller, add_private_key)],
    }
    _check_encryption(settings)
    answer = CreatedSamlProvider(arn, list(tags) or None)
    create(services, caller, SAML, ProviderRecord(arn, account, "saml", entity_id, settings), tags, answer)
    return answer


def get_saml_provider(services: Services, caller: Caller, *, saml_provider_arn: str) -> SamlProviderView:
    """What is registered (AWS IAM GetSAMLProvider)."""
    found = authorized_provider(services, caller, "iam:GetSAMLProvider", SAML, saml_provider_arn)
    settings = found.record.settings
    return SamlProviderView(
        settings["uuid"],
        settings["metadata"],
        moment(found.created_at),
        moment(settings["valid_until"]),
        settings["encryption"],
        [SamlPrivateKey(key["id"], moment(key["added_at"])) for key in settings["private_keys"]] or None,
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
    entity_id = None
    if saml_metadata_document is not None:
        entity_id, changed = _read_metadata(saml_metadata_document)
    if assertion_encryption_mode is not None:
        changed["encryption"] = assertion_encryption_mode
    added = [] if add_private_key is None else [_seal_private_key(services, caller, add_private_key)]
    answer = UpdatedSamlProvider(saml_provider_arn)
    with services.database.change() as connection:
        record = changeable_provider(connection, SAML, provider).record
        kept = _private_keys_without(remove_private_key, record.settings["private_keys"])
        if added and len(kept) >= MAX_PRIVATE_KEYS:
            raise LimitExceeded(f"Cannot exceed quota for PrivateKeysPerSAMLProvider: {MAX_PRIVATE_KEYS}")
        settings = {**record.settings, **changed, "private_keys": [*kept, *added]}
        _check_encryption(settings)
        change_settings(
            connection, caller, replace(record, issuer=entity_id or record.issuer, settings=settings), answer
        )
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


def private_key_purpose(key_id: str) -> str:
    """What a provider's private key is sealed for (``broker.credentials.vault``)."""
    return f"saml-private-key\x00{key_id}"


def _read_metadata(document: str) -> tuple[str, dict[str, Any]]:
    """The entity id, and what of the settings the document decides. Raises InvalidInput."""
    try:
        metadata = parse_metadata(document)
    except MalformedEvidence as error:
        raise InvalidInput(f"Could not parse metadata: {error.detail}") from None
    until = metadata.valid_until
    return metadata.entity_id, {
        "metadata": document,
        "valid_until": None if until is None else int(until.timestamp()),
    }


def _seal_private_key(services: Services, caller: Caller, key: Secret) -> dict[str, Any]:
    check_rsa_private_key(key)
    key_id = _new_id()
    sealed = services.vault.seal(key, private_key_purpose(key_id))
    return {"id": key_id, "added_at": int(caller.now.timestamp()), "sealed": sealed}


def _private_keys_without(key_id: str | None, present: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    left = [key for key in present if key["id"] != key_id]
    if key_id is not None and len(left) == len(present):
        raise NotFound(f"The private key with id {key_id} cannot be found.")
    return left


def _check_encryption(settings: dict[str, Any]) -> None:
    if settings["encryption"] == _REQUIRED and not settings["private_keys"]:
        raise InvalidInput("Encryption cannot be required without a private key that decrypts assertions.")


def _new_id() -> str:
    """32 letters and digits, as AWS names private keys and SAML providers."""
    return base64.b32encode(random_bytes(20)).decode("ascii")
