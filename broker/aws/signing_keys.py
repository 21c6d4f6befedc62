"""The keys of AWS Signature Version 4, which are derived from a secret for one day, region and service.

Source: AWS IAM User Guide, "Create a signed AWS API request", step 4.
"""

from __future__ import annotations

import hashlib
import threading

from broker.credentials.mac import hmac_sha256

TERMINATOR = "aws4_request"

_Name = tuple[str, bytes, str, str, str]


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key that signs within one credential scope."""
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, TERMINATOR):
        key = hmac_sha256(key, part.encode())
    return key


class SigningKeyCache:
    """Derived signing keys of the last callers: the derivation costs four HMACs. Bounded; safe among threads.

    Only keys that have verified a signature are kept, so nobody without a secret can push others out. The secret
    itself is not kept: a key is found by its digest, so that a rotated secret never meets the old one's key.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._keys: dict[_Name, bytes] = {}
        self._lock = threading.Lock()

    def find(self, access_key_id: str, secret: str, date: str, region: str, service: str) -> bytes | None:
        return self._keys.get(_name(access_key_id, secret, date, region, service))

    def keep(self, key: bytes, access_key_id: str, secret: str, date: str, region: str, service: str) -> None:
        """Remember ``key``; the oldest one goes if there are too many."""
        with self._lock:
            while len(self._keys) >= self._size:
                del self._keys[next(iter(self._keys))]
            self._keys[_name(access_key_id, secret, date, region, service)] = key


def _name(access_key_id: str, secret: str, date: str, region: str, service: str) -> _Name:
    return access_key_id, hashlib.sha256(secret.encode()).digest(), date, region, service
