"""A response opened: from its bytes to values that its provider signed.

1. the wire's form; 2. one document within the limits; 3. one response with one assertion; 4. signatures where SAML has
them, and nowhere else; 5. the response's signature, if it has one; 6. the assertion decrypted; 7. the assertion's
signature, if it has one; 8. one of the two there must be; 9. read what was signed, and nothing else.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field

from providers.base import SamlResponse
from providers.saml.assertion import (
    Assertion,
    Envelope,
    check_response,
    count_assertions,
    read_assertion,
    read_envelope,
)
from providers.saml.document import (
    RESPONSE,
    Element,
    children,
    find_child,
    get_child,
    malformed,
    parse_again,
    parse_document,
    read_text,
)
from providers.saml.encryption import DecryptionRules, PrivateKey, decrypt
from providers.saml.names import SAML
from providers.saml.readers import apart
from providers.saml.xmlsig import (
    SIGNATURE,
    TrustedKey,
    find_signature,
    forged,
    presented_certificates,
    verify_signature,
)

_ASSERTION = f"{SAML}Assertion"
_ENCRYPTED = f"{SAML}EncryptedAssertion"


@dataclass(frozen=True, slots=True)
class KeyRules:
    """With which keys a provider's messages are verified and decrypted, and which weak algorithms are let pass."""

    trusted: tuple[TrustedKey, ...] = ()
    private: tuple[PrivateKey, ...] = field(default=(), repr=False)
    allow_sha1: bool = False
    decryption: DecryptionRules = field(default_factory=DecryptionRules)


@dataclass(frozen=True, slots=True)
class OpenedResponse:
    """What it says. ``signed``: the response is, not only the assertion. ``fingerprints`` of the keys that signed."""

    envelope: Envelope
    assertion: Assertion
    signed: bool
    encrypted: bool
    fingerprints: tuple[str, ...]
    warnings: tuple[str, ...]


def parse_saml_response(text: str) -> SamlResponse:
    """1. Base64 as the POST binding has it (SAML Bindings 3.5.4), line breaks aside. Raises MalformedEvidence."""
    try:
        packed = text.encode("ascii").translate(None, b" \t\r\n")
        if len(packed) > 4 * (RESPONSE.size // 3 + 1):
            raise malformed("wire: too long")
        if len(packed) % 4 or packed.endswith(b"==="):
            raise malformed("wire: not base64")
        xml = binascii.a2b_base64(packed, strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise malformed("wire: not base64") from None
    if not xml.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise malformed("wire: no XML in it; a deflated message belongs to another binding")
    return SamlResponse(xml)


def open_response(response: SamlResponse, rules: KeyRules) -> OpenedResponse:
    """Raises MalformedEvidence, SignatureInvalid."""
    root = parse_document(response.xml)  # 2
    check_response(root)  # 3
    plain = children(root, _ASSERTION)
    _check_places(root, [root, *plain])  # 4
    fingerprints: list[str] = []
    warnings: list[str] = []

    def verify(parent: Element) -> Element | None:
        """What of ``parent`` was signed, read again; None if it has no signature."""
        if find_signature(parent) is None:
            return None
        verified = verify_signature(parent, rules.trusted, allow_sha1=rules.allow_sha1)
        fingerprints.append(verified.fingerprint)
        warnings.extend(verified.warnings)
        return parse_again(verified.signed)

    def decrypted(element: Element) -> Element:
        found, more = decrypt(element, rules.private, rules.decryption)
        warnings.extend(more)
        return found

    signed_root = verify(root)  # 5
    if plain:
        signed_assertion = verify(plain[0])  # 7
    else:
        assertion = _check_decrypted(
            decrypted(get_child(root if signed_root is None else signed_root, _ENCRYPTED))
        )  # 6
        signed_assertion = verify(assertion)  # 7
    if signed_root is None and signed_assertion is None:  # 8
        raise forged("signature: neither the response nor the assertion is signed")
    if signed_assertion is None:  # 9
        signed_assertion = get_child(signed_root, _ASSERTION) if plain else assertion
    return OpenedResponse(
        read_envelope(root if signed_root is None else signed_root),
        read_assertion(signed_assertion, decrypted),
        signed_root is not None,
        not plain,
        tuple(dict.fromkeys(fingerprints)),
        tuple(dict.fromkeys(warnings)),
    )


def read_unverified(response: SamlResponse, rules: KeyRules) -> OpenedResponse:
    """What the response says, whoever said so: for diagnostics alone. Raises MalformedEvidence, SignatureInvalid."""
    root = parse_document(response.xml)
    check_response(root)
    plain = children(root, _ASSERTION)

    def decrypted(element: Element) -> Element:
        return decrypt(element, rules.private, rules.decryption)[0]

    assertion = plain[0] if plain else _check_decrypted(decrypted(get_child(root, _ENCRYPTED)))
    found = read_assertion(assertion, decrypted)
    return OpenedResponse(read_envelope(root), found, bool(children(root, SIGNATURE)), not plain, (), ())


def presented_issuer(response: SamlResponse) -> str:
    """Who the response says it is from: may only choose a verifier. Raises MalformedEvidence."""

    def read() -> str:
        root = parse_document(response.xml)
        check_response(root)
        issuer = find_child(root, f"{SAML}Issuer")
        for assertion in children(root, _ASSERTION):
            issuer = get_child(assertion, f"{SAML}Issuer")
        return "" if issuer is None else read_text(issuer)

    return apart(read, len(response.xml))


def presented(response: SamlResponse) -> tuple[str, ...]:
    """Fingerprints of the certificates that the response's signatures bring along: nothing is verified by them."""
    root = parse_document(response.xml)
    found = [one for signature in root.iter(SIGNATURE) for one in presented_certificates(signature)]
    return tuple(dict.fromkeys(found))


def _check_places(root: Element, parents: Sequence[Element]) -> None:
    """A signature elsewhere could be meant for another reader."""
    for element in root.iter("{*}Signature"):
        if element.tag != SIGNATURE or element.getparent() not in parents:
            raise forged("signature: in a place where SAML has none")


def _check_decrypted(assertion: Element) -> Element:
    if assertion.tag != _ASSERTION:
        raise forged(f"encryption: it holds a {str(assertion.tag)[:128]}")
    if count_assertions(assertion) != 1:
        raise forged("encryption: it holds several assertions")
    _check_places(assertion, [assertion])
    return assertion
