"""SAML providers as they are registered: can the metadata be used, and what their record keeps.

Whoever registers one, the configuration file or an administrator by API, calls these functions.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from broker.credentials.sealing import seal, unseal
from broker.domain.arn import ACCOUNT_ID, saml_provider_arn
from broker.errors import ValidationFailed
from broker.settings import Settings
from broker.store.identity_providers import ProviderRecord
from providers.errors import ProviderError
from providers.fetch import Fetcher, Trust
from providers.saml.checks import MAX_SKEW_SECONDS
from providers.saml.document import METADATA
from providers.saml.encryption import load_private_key
from providers.saml.metadata import IdpMetadata, parse_metadata

DEFAULTS: Mapping[str, Any] = {
    "clock_skew_seconds": MAX_SKEW_SECONDS,
    "max_lifetime_seconds": 86_400,
    "max_authentication_age_seconds": 604_800,
    "replay": "once-per-role",
    "reuse_seconds": 300,
    "assertion_encryption": "Allowed",
    "allow_sha1": False,
    "allow_rsa_1_5": False,
    "allow_cbc": False,
    "sealed_private_keys": [],
    "idp_initiated": False,
    "force_authn": False,
    "name_id_format": "",
    "request_binding": "Redirect",
    "sign_requests": True,
    "service_key": None,
    "metadata_url": "",
    "metadata_ca": None,
}
"""What a record's settings hold besides ``metadata``, ``audiences`` and ``acs_urls``."""
_LONGEST_REUSE_SECONDS = 300
_URL = re.compile(r"https?://[!-~]{1,2040}")


def read_saml_metadata(text: str, now: datetime) -> IdpMetadata:
    """Entity id, certificates and end of a metadata document that is to be registered. Raises ValidationFailed."""
    try:
        metadata = parse_metadata(text)
    except ProviderError as error:
        raise ValidationFailed(f"the metadata cannot be used: {error.detail}") from None
    if metadata.valid_until is not None and metadata.valid_until <= now:
        raise ValidationFailed(f"the metadata was valid until {metadata.valid_until:%Y-%m-%d}")
    return metadata


def metadata_end(metadata: IdpMetadata) -> int | None:
    """When the document must not be used any more, in seconds since the epoch."""
    return None if metadata.valid_until is None else int(metadata.valid_until.timestamp())


def fetch_metadata(settings: Settings, url: str, ca: str | None) -> str:
    """The document that the provider publishes; ``ca``: PEM, the only authority that may vouch for its server.

    Raises ValidationFailed.
    """
    fetch = settings.fetch
    fetcher = Fetcher(
        allow_http_loopback=fetch.allow_http_loopback,
        allow_networks=fetch.allow_networks,
        timeout_seconds=fetch.timeout_seconds,
        max_bytes=METADATA.size,
    )
    try:
        return fetcher.get(url, Trust(ca), accept="application/samlmetadata+xml, application/xml").body.decode("utf-8")
    except ProviderError as error:
        raise ValidationFailed("the metadata cannot be fetched:", detail=error.detail) from None
    except UnicodeDecodeError:
        raise ValidationFailed("the metadata is not UTF-8") from None


def check_metadata_url(url: str, *, allow_http_loopback: bool) -> None:
    """Raises ValidationFailed. Which addresses may be reached is decided when it is fetched."""
    if not _URL.fullmatch(url) or not (url.startswith("https://") or allow_http_loopback):
        raise ValidationFailed("the metadata URL must begin with https://, in 2,048 ASCII characters at most")


def provider_arn(settings: Settings, account: str | None, provider: str) -> str:
    """The ARN that a command means: of a name, in ``account`` or the first that is configured. Raises
    ValidationFailed."""
    if provider.startswith("arn:"):
        return provider
    owner = account or next((entry.id for entry in settings.account), "")
    if not ACCOUNT_ID.fullmatch(owner):
        raise ValidationFailed("no account is configured: give --account")
    return saml_provider_arn(owner, provider)


def make_saml_record(
    account: str, name: str, metadata: str, now: datetime, settings: Mapping[str, Any]
) -> ProviderRecord:
    """The record of a provider; ``settings`` are ``audiences``, ``acs_urls`` and what differs from the defaults.

    Raises ValidationFailed.
    """
    found = read_saml_metadata(metadata, now)
    kept = {**DEFAULTS, **settings, "metadata": metadata, "valid_until": metadata_end(found)}
    check_saml_settings(kept)
    return ProviderRecord(saml_provider_arn(account, name), account, "saml", found.entity_id, kept)


def seal_private_key(master_key: bytes, provider_arn: str, pem: str) -> str:
    """A private key that opens encrypted assertions, as a record keeps it. Raises ValidationFailed."""
    try:
        load_private_key(pem)
    except (ValueError, TypeError) as error:  # TypeError: it has a password
        raise ValidationFailed(f"the private key cannot be used: {error}") from None
    return base64.b64encode(seal(master_key, pem.encode(), purpose=_purpose(provider_arn))).decode()


def unseal_private_key(master_key: bytes, provider_arn: str, sealed: str) -> str:
    return unseal(master_key, base64.b64decode(sealed), purpose=_purpose(provider_arn)).decode()


def check_saml_settings(settings: Mapping[str, Any]) -> None:
    """Raises ValidationFailed for values that the types cannot refuse."""
    if not settings["audiences"] or not settings["acs_urls"]:
        raise ValidationFailed("audiences and acs_urls must not be empty")
    if not 0 <= settings["clock_skew_seconds"] <= MAX_SKEW_SECONDS:
        raise ValidationFailed(f"clock_skew_seconds must be between 0 and {MAX_SKEW_SECONDS}")
    if settings["max_lifetime_seconds"] < 1 or settings["max_authentication_age_seconds"] < 1:
        raise ValidationFailed("max_lifetime_seconds and max_authentication_age_seconds must be at least 1")
    if not 0 < settings["reuse_seconds"] <= _LONGEST_REUSE_SECONDS:
        raise ValidationFailed(f"reuse_seconds must be between 1 and {_LONGEST_REUSE_SECONDS}")
    if settings["assertion_encryption"] == "Required" and not settings["sealed_private_keys"]:
        raise ValidationFailed("assertion_encryption is Required, but there is no private key")


def _purpose(provider_arn: str) -> bytes:
    return b"saml-private-key\x00" + provider_arn.encode()
