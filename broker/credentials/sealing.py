"""Authenticated encryption with a key of its own for every message.

AES-256-GCM fails when one key meets one nonce twice, and random 96-bit nonces allow only 2^32 messages a key (NIST
SP 800-38D, 8.3). Here each message gets its own key, derived by HMAC-SHA256 from the long-lived key and a random
128-bit salt, so that the nonce can be constant and billions of messages under one long-lived key stay safe, also
after a fork or a restored snapshot.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.credentials.mac import lasting_hmac_sha256

SALT_BYTES = 16
OVERHEAD_BYTES = SALT_BYTES + 16
_NONCE = bytes(12)


class SealBroken(Exception):
    """The sealed bytes were not made under this key for this purpose, or were changed."""


def seal(key: bytes, plaintext: bytes, *, purpose: bytes, salt: bytes | None = None) -> bytes:
    """Salt, ciphertext and tag. ``purpose`` names what the bytes are for and whose: it is bound, not hidden.

    ``salt`` is passed only by a caller that needs it elsewhere too; it never comes again (``identifiers.unique_salt``).
    """
    salt = salt or os.urandom(SALT_BYTES)
    return salt + AESGCM(_message_key(key, purpose, salt)).encrypt(_NONCE, plaintext, purpose)


def unseal(key: bytes, sealed: bytes, *, purpose: bytes) -> bytes:
    """The plaintext. Raises SealBroken."""
    if len(sealed) < OVERHEAD_BYTES:
        raise SealBroken("too short")
    salt = sealed[:SALT_BYTES]
    try:
        return AESGCM(_message_key(key, purpose, salt)).decrypt(_NONCE, sealed[SALT_BYTES:], purpose)
    except InvalidTag:
        raise SealBroken("not authentic") from None


def _message_key(key: bytes, purpose: bytes, salt: bytes) -> bytes:
    return lasting_hmac_sha256(key, b"accredit-seal\x00" + salt + purpose)
