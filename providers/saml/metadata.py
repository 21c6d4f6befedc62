"""An identity provider's metadata (SAML Metadata 2.0): who it is, with which keys it signs, where it is reached.

Nothing is fetched, and a signature of the metadata is not looked at: an administrator vouches for what is registered.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from providers.errors import MalformedEvidence
from providers.saml.document import METADATA, Element, children, parse_document
from providers.saml.instants import parse_instant
from providers.saml.names import DS, MD, local
from providers.saml.xmlsig import fingerprint

MESSAGE = "The metadata document cannot be used"
MAX_CERTIFICATES = 10
_MINIMUM_RSA_BITS = 2_048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_ENTITY_ID = re.compile(r"[!-~]{1,1024}")
_LOCATION = re.compile(r"https?://[!-~]{1,2000}")


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """A certificate of the metadata; several are there while keys roll over."""

    fingerprint: str
    der: bytes = field(repr=False)
    subject: str
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the provider takes messages of a binding."""

    binding: str
    location: str
    response_location: str = ""


@dataclass(frozen=True, slots=True)
class IdpMetadata:
    """What is read of it. ``valid_until``: the document says that it must not be used from then on."""

    entity_id: str
    certificates: tuple[SigningCertificate, ...]
    single_sign_on: tuple[Endpoint, ...]
    single_logout: tuple[Endpoint, ...]
    wants_signed_requests: bool
    valid_until: datetime | None


def parse_metadata(text: str) -> IdpMetadata:
    """Read metadata. Raises MalformedEvidence with a detail that is for the administrator who registers it."""
    return _read(_entity(parse_document(text.encode("utf-8", "replace"), METADATA)))


def _read(entity: Element) -> IdpMetadata:
    entity_id = entity.get("entityID", "")
    if not _ENTITY_ID.fullmatch(entity_id):
        raise _unusable("entityID is missing, too long or no URI")
    role = _role(entity)
    ends = [parse_instant(one.get("validUntil"), "validUntil") for one in (entity, role) if one.get("validUntil")]
    return IdpMetadata(
        entity_id=entity_id,
        certificates=_certificates(role),
        single_sign_on=_endpoints(role, "SingleSignOnService"),
        single_logout=_endpoints(role, "SingleLogoutService"),
        wants_signed_requests=role.get("WantAuthnRequestsSigned", "false") in ("true", "1"),
        valid_until=min(ends, default=None),
    )


def _entity(root: Element) -> Element:
    """The one entity with an IDPSSODescriptor; some providers wrap it into an EntitiesDescriptor."""
    if root.tag == f"{MD}EntityDescriptor":
        return root
    if root.tag != f"{MD}EntitiesDescriptor":
        raise _unusable(f"{local(str(root.tag))[:64]} is no EntityDescriptor")
    found = [one for one in children(root, f"{MD}EntityDescriptor") if children(one, f"{MD}IDPSSODescriptor")]
    if len(found) != 1:
        raise _unusable(f"it describes {len(found)} identity providers; register one of them")
    return found[0]


def _role(entity: Element) -> Element:
    found = children(entity, f"{MD}IDPSSODescriptor")
    if len(found) != 1:
        raise _unusable(f"{len(found)} elements IDPSSODescriptor: one is needed")
    return found[0]


def _certificates(role: Element) -> tuple[SigningCertificate, ...]:
    """Of every key for signing; a key without ``use`` is for both (SAML Metadata 2.4.1.1)."""
    found: dict[str, SigningCertificate] = {}
    for descriptor in children(role, f"{MD}KeyDescriptor"):
        if descriptor.get("use", "signing") != "signing":
            continue
        for info in children(descriptor, f"{DS}KeyInfo"):
            for data in children(info, f"{DS}X509Data"):
                for element in children(data, f"{DS}X509Certificate"):
                    certificate = _certificate(element.text or "")
                    found[certificate.fingerprint] = certificate
    if not found:
        raise _unusable("it has no certificate for signing")
    if len(found) > MAX_CERTIFICATES:
        raise _unusable(f"more than {MAX_CERTIFICATES} certificates for signing")
    return tuple(found.values())


def _certificate(text: str) -> SigningCertificate:
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode("".join(text.split()), validate=True))
        key = certificate.public_key()
        subject = certificate.subject.rfc4514_string()[:256]
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise _unusable(f"a certificate cannot be read: {str(error)[:128]}") from None
    if isinstance(key, rsa.RSAPublicKey):
        strong = key.key_size >= _MINIMUM_RSA_BITS
    else:
        strong = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES
    if not strong:
        raise _unusable(f"the key of certificate {subject} is neither RSA of 2,048 bits or more nor of a NIST curve")
    der = certificate.public_bytes(Encoding.DER)
    return SigningCertificate(fingerprint(der), der, subject, certificate.not_valid_after_utc)


def _endpoints(role: Element, name: str) -> tuple[Endpoint, ...]:
    found = []
    for element in children(role, f"{MD}{name}"):
        location, answers = element.get("Location", ""), element.get("ResponseLocation", "")
        if not _LOCATION.fullmatch(location) or (answers and not _LOCATION.fullmatch(answers)):
            raise _unusable(f"{name}: its Location is no http(s) URL")
        found.append(Endpoint(element.get("Binding", ""), location, answers))
    return tuple(found)


def _unusable(detail: str) -> MalformedEvidence:
    return MalformedEvidence(MESSAGE, detail=f"metadata: {detail}")
