"""Encrypted assertions and name identifiers (SAML Core 2.3.4, 2.2.4; XML Encryption 1.1).

1. the one form: EncryptedData with its key beside or inside it, nothing that refers elsewhere; 2. algorithms: RSA-OAEP
and AES-GCM, unless the provider opts in to more; 3. one of our keys opens the encrypted key; 4. the data; 5. the plain
text is one element, read by the one parser under the same limits.

Whatever fails, the caller reads the sentence of a forged signature: neither says what was wrong with a padding.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from providers.errors import MalformedEvidence, SignatureInvalid
from providers.saml.document import Element, children, get_child, parse_document
from providers.saml.names import (
    CBC,
    DS,
    GCM,
    MGF_DIGESTS,
    OAEP,
    OAEP_DIGESTS,
    OAEP_MGF1P,
    RSA_1_5,
    SHA1_DIGEST,
    XENC,
    XENC11,
)
from providers.saml.xmlsig import MESSAGE

PrivateKey = rsa.RSAPrivateKey

_MAX_KEYS = 8
"""Encrypted keys that are tried: one for each recipient."""
_NONCE, _TAG, _BLOCK = 12, 16, 16
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303  # within OAEP a weak hash is no weakness
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


@dataclass(frozen=True, slots=True)
class DecryptionRules:
    """What a provider accepts besides RSA-OAEP and AES-GCM."""

    allow_rsa_1_5: bool = False
    allow_cbc: bool = False


def load_private_key(pem: str) -> PrivateKey:
    """Raises ValueError unless it is an RSA key without a password."""
    key = serialization.load_pem_private_key(pem.encode("ascii", "replace"), password=None)
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2_048:
        raise ValueError("not an RSA key of 2,048 bits or more")
    return key


def decrypt(encrypted: Element, keys: Sequence[PrivateKey], rules: DecryptionRules) -> tuple[Element, tuple[str, ...]]:
    """The element inside an EncryptedAssertion or EncryptedID, and warnings. Raises SignatureInvalid, always alike."""
    try:
        data = get_child(encrypted, f"{XENC}EncryptedData")  # 1
        method = _algorithm(data)  # 2
        cipher_text = _cipher_value(data)
        key, warnings = _open_key(_encrypted_keys(encrypted, data), keys, rules)  # 3
        if method in GCM and len(key) == GCM[method]:  # 4
            plain = AESGCM(key).decrypt(cipher_text[:_NONCE], cipher_text[_NONCE:], None)
        elif rules.allow_cbc and method in CBC and len(key) == CBC[method]:
            plain = _decrypt_cbc(key, cipher_text)
            warnings = (*warnings, f"encryption algorithm {method}")
        else:
            raise _undecipherable(f"algorithm {method[:128]} is not accepted")
        return _read_plain(plain, encrypted), warnings  # 5
    except (MalformedEvidence, InvalidTag, ValueError) as error:
        detail = error.detail if isinstance(error, MalformedEvidence) else type(error).__name__
        raise _undecipherable(detail) from None


def _undecipherable(detail: str) -> SignatureInvalid:
    return SignatureInvalid(MESSAGE, detail=f"encryption: {detail}")


def _algorithm(element: Element) -> str:
    return str(get_child(element, f"{XENC}EncryptionMethod").get("Algorithm"))


def _cipher_value(element: Element) -> bytes:
    """What CipherValue holds; a CipherReference would have to be fetched."""
    data = get_child(element, f"{XENC}CipherData")
    value = get_child(data, f"{XENC}CipherValue")
    if len(data) != 1 or len(value):
        raise _undecipherable("CipherData has not just a CipherValue")
    try:
        return base64.b64decode("".join((value.text or "").split()), validate=True)
    except binascii.Error:
        raise _undecipherable("CipherValue is no base64") from None


def _encrypted_keys(encrypted: Element, data: Element) -> list[Element]:
    """Inside of the data's KeyInfo or beside the data; a RetrievalMethod that names one of them needs no following."""
    found = children(encrypted, f"{XENC}EncryptedKey")
    for info in children(data, f"{DS}KeyInfo"):
        found += children(info, f"{XENC}EncryptedKey")
    if not 0 < len(found) <= _MAX_KEYS:
        raise _undecipherable(f"{len(found)} encrypted keys")
    return found


def _open_key(
    candidates: Sequence[Element], keys: Sequence[PrivateKey], rules: DecryptionRules
) -> tuple[bytes, tuple[str, ...]]:
    if not keys:
        raise _undecipherable("no private key is registered")
    for candidate in candidates:
        method = _algorithm(candidate)
        padded, warnings = _padding(candidate, method, rules)
        cipher_text = _cipher_value(candidate)
        for key in keys:
            try:
                return key.decrypt(cipher_text, padded), warnings
            except ValueError:
                continue
    raise _undecipherable("none of our keys opens it")


def _padding(
    candidate: Element, method: str, rules: DecryptionRules
) -> tuple[padding.AsymmetricPadding, tuple[str, ...]]:
    if method in (OAEP_MGF1P, OAEP):
        parameters = get_child(candidate, f"{XENC}EncryptionMethod")
        digest = _parameter(parameters, f"{DS}DigestMethod", SHA1_DIGEST)
        mask = _parameter(parameters, f"{XENC11}MGF", next(iter(MGF_DIGESTS)))
        if digest in OAEP_DIGESTS and mask in MGF_DIGESTS and not children(parameters, f"{XENC}OAEPparams"):
            mgf = padding.MGF1(_HASHES[MGF_DIGESTS[mask]])
            return padding.OAEP(mgf, _HASHES[OAEP_DIGESTS[digest]], None), ()
    if method == RSA_1_5 and rules.allow_rsa_1_5:
        return padding.PKCS1v15(), (f"key transport algorithm {method}",)
    raise _undecipherable(f"key transport {method[:128]} is not accepted")


def _parameter(parameters: Element, name: str, default: str) -> str:
    for element in children(parameters, name):
        return str(element.get("Algorithm"))
    return default


def _decrypt_cbc(key: bytes, cipher_text: bytes) -> bytes:
    """The padding's last byte is its length, the rest of it is arbitrary (XML Encryption 5.2)."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(cipher_text[:_BLOCK])).decryptor()
    plain = decryptor.update(cipher_text[_BLOCK:]) + decryptor.finalize()
    if not plain or not 0 < plain[-1] <= _BLOCK:
        raise ValueError("padding")
    return plain[: -plain[-1]]


def _read_plain(plain: bytes, encrypted: Element) -> Element:
    """The element; its text may use the namespace prefixes of where it stood, so it is put into such a place."""
    names = "".join(
        f" xmlns{f':{prefix}' if prefix else ''}={quoteattr(name)}" for prefix, name in encrypted.nsmap.items()
    )
    place = parse_document(b"<place%b>%b</place>" % (names.encode(), plain))
    if len(place) != 1 or (place.text or "").strip() or (place[0].tail or "").strip():
        raise _undecipherable("the plain text is not one element")
    return place[0]
