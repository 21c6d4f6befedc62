"""SAML providers as they are registered: can the metadata be used, and what their record keeps.

Of the metadata no more is read than who it is of, and until when it is good. Nothing is fetched. A document type, which
could define entities, is refused before anything is parsed.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from broker.credentials.private_keys import check_rsa_private_key
from broker.credentials.sealing import seal
from broker.domain.arn import saml_provider_arn
from broker.errors import ValidationFailed
from broker.store.identity_providers import ProviderRecord

DEFAULTS: Mapping[str, Any] = {"assertion_encryption": "Allowed", "sealed_private_keys": []}
"""What a record's settings hold besides ``metadata``, ``audiences`` and ``acs_urls``."""
_MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"
_CERTIFICATE = ".//{http://www.w3.org/2000/09/xmldsig#}X509Certificate"
_ENTITY_ID = re.compile(r"[!-~]{1,1024}")


@dataclass(frozen=True, slots=True)
class IdpMetadata:
    """What is read of it. ``valid_until`` (aware UTC): the document says that it must not be used from then on."""

    entity_id: str
    valid_until: datetime | None


def read_saml_metadata(text: str, now: datetime) -> IdpMetadata:
    """Entity id and end of a metadata document that is to be registered. Raises ValidationFailed."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise _unusable("a document type definition")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  # there is no document type: see above
    except (ElementTree.ParseError, ValueError) as error:
        raise _unusable(f"no XML: {error}") from None
    entity = root if root.tag == f"{_MD}EntityDescriptor" else root.find(f"{_MD}EntityDescriptor")
    role = None if entity is None else entity.find(f"{_MD}IDPSSODescriptor")
    if entity is None or role is None:
        raise _unusable("it describes no identity provider")
    if role.find(_CERTIFICATE) is None:
        raise _unusable("it has no certificate")
    entity_id = entity.get("entityID", "")
    if not _ENTITY_ID.fullmatch(entity_id):
        raise _unusable("entityID is missing, too long or no URI")
    ends = [_time(end) for one in (entity, role) if (end := one.get("validUntil"))]
    until = min(ends, default=None)
    if until is not None and until <= now:
        raise ValidationFailed(f"the metadata was valid until {until:%Y-%m-%d}")
    return IdpMetadata(entity_id, until)


def make_saml_record(
    account: str, name: str, metadata: str, now: datetime, settings: Mapping[str, Any]
) -> ProviderRecord:
    """The record of a provider; ``settings`` are ``audiences``, ``acs_urls`` and what differs from the defaults.

    Raises ValidationFailed.
    """
    found = read_saml_metadata(metadata, now)
    kept = {**DEFAULTS, **settings, "metadata": metadata}
    return ProviderRecord(saml_provider_arn(account, name), account, "saml", found.entity_id, kept)


def seal_private_key(master_key: bytes, provider_arn: str, pem: str) -> str:
    """A private key that opens encrypted assertions, as a record keeps it. Raises ValidationFailed."""
    check_rsa_private_key(pem)
    purpose = b"saml-private-key\x00" + provider_arn.encode()
    return base64.b64encode(seal(master_key, pem.encode(), purpose=purpose)).decode()


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _unusable("validUntil is no time") from None


def _unusable(detail: str) -> ValidationFailed:
    return ValidationFailed(f"the metadata cannot be used: {detail[:256]}")
