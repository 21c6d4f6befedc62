"""Hashes of console passwords: Argon2id (RFC 9106), few at a time.

Each hash takes 46 MiB and some hundredths of a second (OWASP Password Storage Cheat Sheet), so a
worker makes two at most at once: others wait briefly and are then asked to try again.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from broker.domain.secret import Secret
from broker.errors import Unavailable

LONGEST_BYTES = 1_024
"""A longer text is nobody's password; it is not hashed."""
_AT_ONCE = 2
_PATIENCE_SECONDS = 3.0
_SALT_BYTES, _HASH_BYTES = 16, 32


class Passwords:
    """Makes and checks hashes."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(
            time_cost=1, memory_cost=47_104, parallelism=1, salt_len=_SALT_BYTES, hash_len=_HASH_BYTES
        )
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._nobodys = self._unmatched()

    def hash(self, password: Secret) -> str:
        """The hash to store. Raises Unavailable if others are being made for too long."""
        with self._turn():
            return self._hasher.hash(password.reveal())

    def matches(self, stored: str | None, password: Secret) -> bool:
        """Whether ``stored`` is a hash of the password. Without one the answer is no, after the same time.

        Raises Unavailable.
        """
        text = password.reveal().encode("utf-8", "replace")
        if len(text) > LONGEST_BYTES:
            return False
        with self._turn():
            try:
                return self._hasher.verify(self._nobodys if stored is None else stored, text)
            except (VerificationError, InvalidHashError):
                return False

    def renewed(self, stored: str, password: Secret) -> str | None:
        """A new hash of the same password, if the stored one was made with other parameters than those of today."""
        return self.hash(password) if self._hasher.check_needs_rehash(stored) else None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=_PATIENCE_SECONDS):
            raise Unavailable("Too many passwords are being checked now. Please try again.")
        try:
            yield
        finally:
            self._turns.release()

    def _unmatched(self) -> str:
        """A hash of no password, with the parameters of all others: random bytes in a hash's place."""
        hasher = self._hasher
        salt, digest = (
            base64.b64encode(os.urandom(size)).decode("ascii").rstrip("=") for size in (_SALT_BYTES, _HASH_BYTES)
        )
        costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
        return f"$argon2id$v=19${costs}${salt}${digest}"
