"""Hashes of console passwords: Argon2id (RFC 9106), few at a time.

Each hash takes 46 MiB and some hundredths of a second (OWASP Password Storage Cheat Sheet), so a worker makes one at a
time, in a thread that steps back when others want the processor: others wait briefly and are then asked to try again.
At sign-in only a few may wait at all (``admitted``), so that a flood of passwords leaves the worker's other threads to
whoever calls for something else.
"""

from __future__ import annotations

import base64
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from broker.domain.secret import Secret
from broker.errors import Unavailable

LONGEST_BYTES = 1_024
"""A longer text is nobody's password; it is not hashed."""
_AT_ONCE = 1
_ADMITTED = 2
"""Sign-ins of a worker that hash or wait for it."""
_NICENESS = 10
_PATIENCE_SECONDS = 3.0
_SALT_BYTES, _HASH_BYTES = 16, 32


class Passwords:
    """Makes and checks hashes."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(
            time_cost=1, memory_cost=47_104, parallelism=1, salt_len=_SALT_BYTES, hash_len=_HASH_BYTES
        )
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._admitted = threading.BoundedSemaphore(_ADMITTED)
        self._hashing = ThreadPoolExecutor(_AT_ONCE, "password-hashes", initializer=_step_back)
        self._nobodys = self._unmatched()

    def hash(self, password: Secret) -> str:
        """The hash to store. Raises Unavailable if others are being made for too long."""
        with self._turn():
            return self._hashing.submit(self._hasher.hash, password.reveal()).result()

    def matches(self, stored: str | None, password: Secret) -> bool:
        """Whether ``stored`` is a hash of the password. Without one the answer is no, after the same time.

        Raises Unavailable.
        """
        text = password.reveal().encode("utf-8", "replace")
        if len(text) > LONGEST_BYTES:
            return False
        with self._turn():
            try:
                return self._hashing.submit(self._hasher.verify, stored or self._nobodys, text).result()
            except (VerificationError, InvalidHashError):
                return False

    def renewed(self, stored: str, password: Secret) -> str | None:
        """A new hash of the same password, if the stored one was made with other parameters than those of today."""
        return self.hash(password) if self._hasher.check_needs_rehash(stored) else None

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Let a sign-in go on. Raises Unavailable at once, before anything was done for it, if others wait already."""
        if not self._admitted.acquire(blocking=False):
            raise _busy()
        try:
            yield
        finally:
            self._admitted.release()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=_PATIENCE_SECONDS):
            raise _busy()
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


def _busy() -> Unavailable:
    return Unavailable("Too many passwords are being checked now. Please try again.")


def _step_back() -> None:
    """Linux has a niceness for each thread: whatever else the machine has to do comes first."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
