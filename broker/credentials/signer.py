"""Signs JSON Web Tokens for relying parties, with keys whose public halves everybody may read.

RFC 7515 (signatures), RFC 7517 (public keys as JSON), RFC 7518 (algorithms), RFC 7638 (a key's thumbprint).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa

_RSA_BITS = 2_048
"""The least that RFC 7518, 3.3 allows; a key lives for weeks and its tokens for an hour."""
_P384_BYTES = 48

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey


class SigningAlgorithm(StrEnum):
    """What STS ``GetWebIdentityToken`` signs with."""

    RS256 = "RS256"
    ES384 = "ES384"


@dataclass(frozen=True, slots=True)
class NewSigningKey:
    """A key just made. ``private_key`` is PKCS#8 in DER, ``public_jwk`` what is published of it."""

    kid: str
    algorithm: SigningAlgorithm
    private_key: bytes = field(repr=False)
    public_jwk: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key ready to sign; ``kid`` names it in the token's header and among the published keys."""

    kid: str
    algorithm: SigningAlgorithm
    private_key: PrivateKey = field(repr=False)

    def sign(self, claims: Mapping[str, object]) -> str:
        """``claims`` as a JWT in compact form."""
        return jwt.encode(dict(claims), self.private_key, self.algorithm.value, headers={"kid": self.kid})


def generate_signing_key(algorithm: SigningAlgorithm) -> NewSigningKey:
    """A fresh key; for RS256 that takes a good part of a second. Its id is the thumbprint of its public half."""
    key = _GENERATORS[algorithm]()
    members = _public_members(key)
    kid = _base64url(hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest())
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return NewSigningKey(kid, algorithm, der, {**members, "kid": kid, "alg": algorithm.value, "use": "sig"})


def load_signing_key(kid: str, algorithm: SigningAlgorithm, private_key: bytes) -> SigningKey:
    """The key of ``generate_signing_key``'s DER, which the caller knows to be its own: it is not checked again."""
    key = serialization.load_der_private_key(private_key, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, (RSAPrivateKey, EllipticCurvePrivateKey)):
        raise TypeError(f"key {kid} is for another algorithm")
    return SigningKey(kid, algorithm, key)


_GENERATORS: Mapping[SigningAlgorithm, Callable[[], PrivateKey]] = {
    SigningAlgorithm.RS256: lambda: generate_rsa(public_exponent=65_537, key_size=_RSA_BITS),
    SigningAlgorithm.ES384: lambda: generate_ec(SECP384R1()),
}


def _public_members(key: PrivateKey) -> dict[str, str]:
    """The members that make the public key, and no others: the thumbprint is taken over them (RFC 7638, 3.2)."""
    if isinstance(key, RSAPrivateKey):
        rsa = key.public_key().public_numbers()
        return {"kty": "RSA", "n": _number(rsa.n, (rsa.n.bit_length() + 7) // 8), "e": _number(rsa.e, 3)}
    point = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-384", "x": _number(point.x, _P384_BYTES), "y": _number(point.y, _P384_BYTES)}


def _number(value: int, size: int) -> str:
    return _base64url(value.to_bytes(size, "big"))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
