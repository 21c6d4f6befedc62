"""Private keys that administrators hand over: are they what they are taken for?"""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from broker.errors import ValidationFailed

_MINIMUM_BITS = 2_048


def check_rsa_private_key(pem: str) -> None:
    """Raises ValidationFailed unless it is an RSA key without a password that is long enough to decrypt with."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        raise ValidationFailed("the private key cannot be used: no PEM of a private key without a password") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _MINIMUM_BITS:
        raise ValidationFailed(f"the private key cannot be used: not an RSA key of {_MINIMUM_BITS} bits or more")
