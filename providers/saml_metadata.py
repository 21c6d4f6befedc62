"""The little that registering a SAML provider needs of its metadata (SAML Metadata 2.0): who it is, and until when.

Nothing is fetched. A document type, which could define entities, is refused before anything is parsed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

from providers.errors import MalformedEvidence

_MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"
_CERTIFICATE = ".//{http://www.w3.org/2000/09/xmldsig#}X509Certificate"
_ENTITY_ID = re.compile(r"[!-~]{1,1024}")


@dataclass(frozen=True, slots=True)
class SamlMetadata:
    """What is read of it. ``valid_until`` (aware UTC): the document says that it must not be used from then on."""

    entity_id: str
    valid_until: datetime | None


def parse_metadata(text: str) -> SamlMetadata:
    """Read metadata. Raises MalformedEvidence with a detail that is for the administrator who registers it."""
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
    return SamlMetadata(entity_id, min(ends, default=None))


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _unusable("validUntil is no time") from None


def _unusable(detail: str) -> MalformedEvidence:
    return MalformedEvidence("The metadata document cannot be used", detail=f"metadata: {detail[:256]}")
