"""One signature of a SAML element, verified (SAML Core 5.4, XML Signature 1.1).

Left to itself, a signature library does what the signature asks of it before it looks at any key: transforms,
canonicalization, fetching. Here xmlsec never sees XML: it verifies bytes. So

1. the signature has the one form that SAML allows, and nothing else in it; 2. its algorithms are on our lists; 3. it
refers to its own parent; 4. the parent's canonical bytes have the digest that it states; 5. xmlsec verifies the
canonical bytes of that statement with a key of the registered metadata, never with one that it brings along; 6. the
parent's bytes, and nothing else, are what was signed: read them again.

Whatever fails, the caller reads the same sentence.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from lxml import etree

from providers.errors import SignatureInvalid
from providers.saml.document import Element, children, find_child, get_child, parse_again, parse_id
from providers.saml.names import (
    CANONICALIZATIONS,
    DIGESTS,
    DS,
    EC,
    ENVELOPED,
    SHA1_DIGEST,
    SHA1_SIGNATURE,
    SIGNATURES,
    local,
)

MESSAGE = "Response signature invalid"
SIGNATURE = f"{DS}Signature"
_KEY_INFO = frozenset({f"{DS}KeyName", f"{DS}KeyValue", f"{DS}X509Data"})
"""What a signature may say of its key: it is not used, but nothing in it may have to be fetched either."""
_METHODS = {
    one.href: one
    for one in (
        xmlsec.constants.TransformRsaSha256,
        xmlsec.constants.TransformRsaSha384,
        xmlsec.constants.TransformRsaSha512,
        xmlsec.constants.TransformEcdsaSha256,
        xmlsec.constants.TransformEcdsaSha384,
        xmlsec.constants.TransformEcdsaSha512,
        xmlsec.constants.TransformRsaSha1,
    )
}
_MAX_VALUE = 4_096
"""Characters of a signature's or digest's value: RSA of 16,384 bits has 2,732."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A signing key of the registered metadata. ``fingerprint``: SHA-256 of its certificate."""

    fingerprint: str
    key: xmlsec.Key = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """What was signed, and how."""

    signed: bytes = field(repr=False)
    fingerprint: str
    warnings: tuple[str, ...] = ()


def forged(detail: str) -> SignatureInvalid:
    return SignatureInvalid(MESSAGE, detail=detail)


def load_key(certificate: bytes, fingerprint: str) -> TrustedKey:
    """The key of a certificate (DER); the certificate's own dates and signature do not matter (SAML Metadata 2.4.1.1).

    The certificate itself stays away from xmlsec, which would copy it for each signature. Raises ValueError,
    xmlsec.Error if it cannot be used.
    """
    public_key = x509.load_der_x509_certificate(certificate).public_key()
    encoded = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return TrustedKey(fingerprint, xmlsec.Key.from_memory(encoded, xmlsec.constants.KeyDataFormatDer))


def find_signature(parent: Element) -> Element | None:
    """The signature of ``parent``, its own child. Raises SignatureInvalid if there are several."""
    found = children(parent, SIGNATURE)
    if len(found) > 1:
        raise forged("signature: several of one element")
    return found[0] if found else None


def verify_signature(parent: Element, keys: Sequence[TrustedKey], *, allow_sha1: bool = False) -> VerifiedSignature:
    """Verify the signature that is a child of ``parent``. Raises SignatureInvalid."""
    signature = find_signature(parent)
    if signature is None:
        raise forged("signature: none")
    info, reference = _check_form(signature)  # 1
    digest, warnings = _check_algorithms(info, reference, allow_sha1)  # 2
    if reference.get("URI") != f"#{parse_id(parent)}":  # 3
        raise forged("signature: it does not refer to the element that it is in")
    signed = _canonical(parent, _prefixes(_only(reference, "Transforms")[1]))  # 4
    stated = _decode(_only(reference, "DigestValue"))
    if not hmac.compare_digest(hashlib.new(digest, signed).digest(), stated):
        raise forged("signature: the digest is another; something was changed after signing")
    statement = _canonical(info, _prefixes(_only(info, "CanonicalizationMethod")))  # 5
    method = _only(info, "SignatureMethod").get("Algorithm")
    value = _decode(_only(signature, "SignatureValue"))
    made_by = _verify(statement, method, value, _by_hint(keys, presented_certificates(signature)))
    return VerifiedSignature(signed, made_by, warnings)  # 6


def verify_bytes(
    signed: bytes, algorithm: str, value: bytes, keys: Sequence[TrustedKey], *, allow_sha1: bool = False
) -> str:
    """The fingerprint of the key that made a signature over plain bytes. Raises SignatureInvalid."""
    if algorithm not in SIGNATURES and not (allow_sha1 and algorithm == SHA1_SIGNATURE):
        raise forged(f"signature: algorithm {algorithm[:128]} is not accepted")
    return _verify(signed, algorithm, value, keys)


def presented_certificates(signature: Element) -> list[str]:
    """The fingerprints of the certificates that a signature brings along: only a hint which key to try first."""
    found = []
    for info in children(signature, f"{DS}KeyInfo"):
        for data in children(info, f"{DS}X509Data"):
            for certificate in children(data, f"{DS}X509Certificate"):
                with suppress(ValueError):  # binascii.Error is one
                    text = "".join((certificate.text or "").split())
                    found.append(fingerprint(base64.b64decode(text, validate=True)))
    return found


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate (DER) as people compare it: ``AB:12:…``."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def _check_form(signature: Element) -> tuple[Element, Element]:
    """SignedInfo and its Reference. Raises SignatureInvalid for anything that SAML does not need."""
    _check(signature, ("SignedInfo", "SignatureValue"), optional=("KeyInfo",))
    for part in children(signature, f"{DS}KeyInfo"):
        if any(child.tag not in _KEY_INFO for child in part):
            raise forged("signature: a key that would have to be fetched, or is of an unknown kind")
    info = _only(signature, "SignedInfo")
    _check(info, ("CanonicalizationMethod", "SignatureMethod", "Reference"))
    reference = _only(info, "Reference")
    _check(reference, ("Transforms", "DigestMethod", "DigestValue"), attributes=("URI",))
    _check(_only(info, "SignatureMethod"), (), attributes=("Algorithm",))
    _check(_only(reference, "DigestMethod"), (), attributes=("Algorithm",))
    return info, reference


def _check_algorithms(info: Element, reference: Element, allow_sha1: bool) -> tuple[str, tuple[str, ...]]:
    """The digest's name, and warnings. Raises SignatureInvalid for an algorithm that is not on our lists."""
    _check_canonicalization(_only(info, "CanonicalizationMethod"))
    transforms = list(_only(reference, "Transforms"))
    if [one.tag for one in transforms] != [f"{DS}Transform"] * 2:
        raise forged("signature: transforms other than enveloped-signature and exclusive canonicalization")
    if transforms[0].get("Algorithm") != ENVELOPED or len(transforms[0]):
        raise forged("signature: the first transform is not enveloped-signature")
    _check_canonicalization(transforms[1])
    method = _only(info, "SignatureMethod").get("Algorithm")
    digest = _only(reference, "DigestMethod").get("Algorithm")
    warnings = []
    if method not in SIGNATURES:
        if not (allow_sha1 and method == SHA1_SIGNATURE):
            raise forged(f"signature: algorithm {str(method)[:128]} is not accepted")
        warnings.append(f"signature algorithm {method}")
    if digest not in DIGESTS:
        if not (allow_sha1 and digest == SHA1_DIGEST):
            raise forged(f"signature: digest algorithm {str(digest)[:128]} is not accepted")
        warnings.append(f"digest algorithm {digest}")
    return DIGESTS.get(digest, "sha1"), tuple(warnings)


def _check_canonicalization(method: Element) -> None:
    if method.get("Algorithm") not in CANONICALIZATIONS:
        raise forged(f"signature: canonicalization {str(method.get('Algorithm'))[:128]} is not accepted")
    if len(method) > 1 or any(child.tag != f"{EC}InclusiveNamespaces" or len(child) for child in method):
        raise forged("signature: an unknown parameter of canonicalization")


def _prefixes(canonicalization: Element) -> list[str]:
    """The namespace prefixes that exclusive canonicalization keeps (Exclusive XML Canonicalization, 3)."""
    return [prefix for one in canonicalization for prefix in one.get("PrefixList", "").split()]


def _canonical(element: Element, prefixes: Sequence[str]) -> bytes:
    """The canonical bytes of ``element`` without its own signature; of a copy.

    A quick copy has the namespaces around it as far as names use them. Prefixes to be kept may be used by texts alone:
    then all namespaces have to come along.
    """
    copy = parse_again(etree.tostring(element, encoding="utf-8", with_tail=False)) if prefixes else deepcopy(element)
    signature = find_child(copy, SIGNATURE)
    if signature is not None:
        before, tail = signature.getprevious(), signature.tail or ""
        if before is not None:  # the text that follows it stays
            before.tail = (before.tail or "") + tail
        else:
            copy.text = (copy.text or "") + tail
        signature.tail = None
        copy.remove(signature)
    kept = list(prefixes) or None
    try:
        return bytes(
            etree.tostring(copy, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=kept)
        )
    except (etree.C14NError, ValueError) as error:
        raise forged(f"signature: cannot be canonicalized: {str(error)[:128]}") from None


def _by_hint(keys: Sequence[TrustedKey], hints: Sequence[str]) -> list[TrustedKey]:
    """All registered keys, those first whose certificate the signature brings along."""
    return sorted(keys, key=lambda one: one.fingerprint not in hints)


def _verify(statement: bytes, method: str, value: bytes, keys: Sequence[TrustedKey]) -> str:
    """The fingerprint of the key that made the signature ``value``."""
    for trusted in keys:
        context = xmlsec.SignatureContext()
        context.key = trusted.key
        try:
            context.verify_binary(statement, _METHODS[method], value)
        except xmlsec.Error:
            continue
        return trusted.fingerprint
    raise forged("signature: not made with a key of the registered metadata")


def _check(
    element: Element,
    needed: tuple[str, ...],
    *,
    optional: tuple[str, ...] = (),
    attributes: tuple[str, ...] | None = None,
) -> None:
    """``needed`` in this order, then ``optional``, each once, and no other attributes if they are named."""
    names = [child.tag for child in element]
    wanted = [f"{DS}{name}" for name in needed]
    rest = names[len(wanted) :]
    if names[: len(wanted)] != wanted or any(rest.count(name) > 1 or name[len(DS) :] not in optional for name in rest):
        raise forged(f"signature: {local(element.tag)} has not just {', '.join(needed + optional) or 'no elements'}")
    if attributes is not None and tuple(element.keys()) != attributes:
        raise forged(f"signature: {local(element.tag)} has not just {', '.join(attributes)}")


def _only(parent: Element, name: str) -> Element:
    """A child whose presence was checked."""
    return get_child(parent, f"{DS}{name}")


def _decode(element: Element) -> bytes:
    text = "".join((element.text or "").split())
    try:
        if len(element) or not text or len(text) > _MAX_VALUE:
            raise ValueError
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise forged(f"signature: {local(element.tag)} is no base64") from None


# --- self test --------------------------------------------------------------------------------------------------------


def self_test() -> None:
    """Raises ImportError unless xmlsec takes a good signature, and none of another text."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    method = xmlsec.constants.TransformEcdsaSha256
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(private, xmlsec.constants.KeyDataFormatPem)
    value = context.sign_binary(b"text", method)
    trusted = [TrustedKey("", context.key)]
    try:
        _verify(b"text", method.href, value, trusted)
    except SignatureInvalid:
        raise ImportError("xmlsec does not take its own signature") from None
    try:
        _verify(b"Text", method.href, value, trusted)
    except SignatureInvalid:
        return
    raise ImportError("xmlsec takes a signature of another text")


self_test()
