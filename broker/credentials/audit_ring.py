"""The keys that sign what the audit record is: Ed25519 for tree heads, RSA for digest files as CloudTrail has them.

Private halves are sealed under the master key, so that whoever can write to the database cannot sign. Public halves are
kept for ever: old heads are verified with old keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from sqlalchemy import Connection

from broker.credentials.sealing import seal, unseal
from broker.store.audit_keys import AuditKeyRow, insert_audit_key, list_audit_keys
from broker.store.engine import Database

HEADS = "Ed25519"
DIGESTS = "RS256"
ALGORITHMS = (HEADS, DIGESTS)

_RSA_BITS = 2_048
_ORIGIN_CHARACTERS = 16

PrivateKey = Ed25519PrivateKey | RSAPrivateKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half. ``raw`` is 32 bytes (Ed25519) or PKCS#1 in DER (RSA); times are seconds since the epoch.

    ``id``: of RSA keys the fingerprint that CloudTrail gives (MD5 of the DER), else a SHA-256 digest of ``raw``.
    """

    id: str
    algorithm: str
    origin: str
    raw: bytes
    created_at: int


@dataclass(frozen=True, slots=True)
class NewAuditKey:
    """A key just made: PKCS#8 in DER is what is sealed of it."""

    id: str
    algorithm: str
    private_key: bytes
    public_key: bytes


class AuditRing:
    """Signs under the newest key that is active."""

    def __init__(self, database: Database, master_key: bytes) -> None:
        self._database = database
        self._master_key = master_key
        self._rows: tuple[int, list[AuditKeyRow]] = (-1, [])
        self._opened: dict[str, PrivateKey] = {}

    def sign(self, algorithm: str, payload: bytes, now: datetime) -> tuple[PublicKey, bytes]:
        """The key and its signature over ``payload`` (RSA: PKCS#1 v1.5 with SHA-256). Raises LookupError."""
        moment = int(now.timestamp())
        for row in self._current():
            if row.algorithm == algorithm and row.active_from <= moment:
                return public_key(row), self._sign(row, payload)
        raise LookupError(f"the audit record has no active key for {algorithm}")

    def public_keys(self, algorithm: str) -> list[PublicKey]:
        """All that ever signed or will, the newest first."""
        return [public_key(row) for row in self._current() if row.algorithm == algorithm]

    def _sign(self, row: AuditKeyRow, payload: bytes) -> bytes:
        key = self._opened.get(row.id)
        if key is None:
            der = unseal(self._master_key, row.sealed_private_key, purpose=_purpose(row.id))
            loaded = serialization.load_der_private_key(der, None)
            if not isinstance(loaded, (Ed25519PrivateKey, RSAPrivateKey)):
                raise TypeError(f"audit key {row.id} is of another kind")
            key = self._opened[row.id] = loaded
        if isinstance(key, RSAPrivateKey):
            return key.sign(payload, PKCS1v15(), hashes.SHA256())
        return key.sign(payload)

    def _current(self) -> list[AuditKeyRow]:
        revision = self._database.revision()
        known, rows = self._rows
        if known != revision:
            with self._database.read() as connection:
                rows = list_audit_keys(connection)
            self._rows = (revision, rows)
        return rows


def public_key(row: AuditKeyRow) -> PublicKey:
    return PublicKey(row.id, row.algorithm, row.origin, row.public_key, row.created_at)


def new_audit_key(algorithm: str) -> NewAuditKey:
    """A fresh key; for RSA that takes a good part of a second."""
    key = _GENERATORS[algorithm]()
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key()
    if isinstance(public, Ed25519PublicKey):
        raw = public.public_bytes_raw()
        return NewAuditKey(hashlib.sha256(raw).hexdigest(), algorithm, der, raw)
    raw = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return NewAuditKey(hashlib.md5(raw, usedforsecurity=False).hexdigest(), algorithm, der, raw)


def add_audit_key(
    connection: Connection, master_key: bytes, key: NewAuditKey, *, now: datetime, activation_seconds: int = 0
) -> str:
    """Put ``key`` into the ring; it signs from ``activation_seconds`` from now on. The log's origin.

    The log is named after its first key, so that heads of two logs cannot be mistaken for each other's.
    """
    present, moment = list_audit_keys(connection), int(now.timestamp())
    name = hashlib.sha256(key.public_key).hexdigest()[:_ORIGIN_CHARACTERS]
    origin = present[-1].origin if present else f"accredit-audit/{name}"
    sealed = seal(master_key, key.private_key, purpose=_purpose(key.id))
    insert_audit_key(
        connection,
        AuditKeyRow(key.id, key.algorithm, origin, sealed, key.public_key, moment, moment + activation_seconds),
    )
    return origin


def ensure_audit_keys(database: Database, master_key: bytes, now: datetime) -> None:
    """Make the first keys if there are none."""
    with database.read() as connection:
        present = {row.algorithm for row in list_audit_keys(connection)}
    if not set(ALGORITHMS) - present:
        return
    made = [new_audit_key(algorithm) for algorithm in ALGORITHMS]
    with database.change() as connection:
        present = {row.algorithm for row in list_audit_keys(connection)}
        for key in made:
            if key.algorithm not in present:
                add_audit_key(connection, master_key, key, now=now)


_GENERATORS: Mapping[str, Callable[[], PrivateKey]] = {
    HEADS: Ed25519PrivateKey.generate,
    DIGESTS: lambda: generate_rsa(public_exponent=65_537, key_size=_RSA_BITS),
}


def _purpose(key_id: str) -> bytes:
    return b"audit-key\x00" + key_id.encode("ascii")
