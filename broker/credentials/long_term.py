"""Secrets of long-term access keys: sealed under the master key, each bound to its access key id."""

from __future__ import annotations

from broker.credentials.sealing import seal, unseal
from broker.domain.secret import Secret


def seal_secret(master_key: bytes, access_key_id: str, secret: str) -> bytes:
    return seal(master_key, secret.encode(), purpose=_purpose(access_key_id))


def unseal_secret(master_key: bytes, access_key_id: str, sealed: bytes) -> Secret:
    """The secret. Raises SealBroken if the stored bytes were changed or belong to another key."""
    return Secret(unseal(master_key, sealed, purpose=_purpose(access_key_id)).decode())


def _purpose(access_key_id: str) -> bytes:
    return b"access-key\x00" + access_key_id.encode()
