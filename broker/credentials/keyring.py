"""The keys behind session tokens: the newest seals, older ones open until nothing they sealed can still live."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from broker.credentials.sealing import SealBroken, seal, unseal
from broker.credentials.session_token import TokenKey
from broker.errors import ConfigurationError
from broker.store.engine import Database
from broker.store.keys import KeyRow, delete_key, insert_key, list_keys

SESSION = "session"
LONGEST_SESSION_SECONDS = 129_600
"""GetSessionToken's and GetFederationToken's maximum; no role session lives longer."""

_MATERIAL_BYTES = 32


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key's life, for people. Times are seconds since the epoch; ``retires_at`` is None for the sealing key."""

    key_id: int
    state: str
    created_at: int
    active_from: int
    retires_at: int | None


class KeyRing:
    """The session keys, read anew whenever the store has changed."""

    def __init__(self, database: Database, master_key: bytes) -> None:
        self._database = database
        self._master_key = master_key
        self._loaded: tuple[int, list[KeyRow], dict[int, TokenKey]] = (-1, [], {})

    def sealing_key(self, now: datetime) -> TokenKey:
        """The newest key that is active at ``now``."""
        rows, ring = self._current()
        moment = int(now.timestamp())
        for row in rows:
            if row.active_from <= moment:
                return ring[row.id]
        raise LookupError("the key ring has no active key")

    def find(self, key_id: int) -> TokenKey | None:
        """The key that sealed a token, if it is still in the ring."""
        return self._current()[1].get(key_id)

    def _current(self) -> tuple[list[KeyRow], dict[int, TokenKey]]:
        revision = self._database.revision()
        known, rows, ring = self._loaded
        if known != revision:
            with self._database.read() as connection:
                rows = list_keys(connection, SESSION)
            ring = {row.id: TokenKey(row.id, _open(self._master_key, row)) for row in rows}
            self._loaded = (revision, rows, ring)
        return rows, ring


def add_key(connection: Connection, master_key: bytes, *, now: datetime, activation_seconds: int) -> int:
    """Put a new key into the ring, sealing from ``activation_seconds`` from now on, and drop those past their time.

    The delay lets every worker of every node read the key before the first token under it appears.
    """
    moment = int(now.timestamp())
    for state in list_states(connection, now):
        if state.retires_at is not None and state.retires_at <= moment:
            delete_key(connection, state.key_id)
    key_id = secrets.randbits(31)
    material = seal(master_key, secrets.token_bytes(_MATERIAL_BYTES), purpose=_purpose(key_id))
    insert_key(connection, KeyRow(key_id, SESSION, material, moment, moment + activation_seconds))
    return key_id


def check_master_key(database: Database, master_key: bytes) -> None:
    """Raises ConfigurationError if the store's keys were sealed under another master key.

    A node that went on with it could open nothing, and would seal what no other node can open.
    """
    with database.read() as connection:
        rows = list_keys(connection, SESSION)
    for row in rows:
        try:
            _open(master_key, row)
        except SealBroken:
            raise ConfigurationError("the master key is not the one that the store's keys were sealed under") from None


def list_states(connection: Connection, now: datetime) -> list[KeyState]:
    """Every key of the ring and what it does at ``now``, the newest first."""
    moment = int(now.timestamp())
    states: list[KeyState] = []
    superseded_at: int | None = None
    for row in list_keys(connection, SESSION):
        state = "pending" if row.active_from > moment else "sealing" if superseded_at is None else "opening"
        retires_at = None if superseded_at is None else superseded_at + LONGEST_SESSION_SECONDS
        states.append(KeyState(row.id, state, row.created_at, row.active_from, retires_at))
        if row.active_from <= moment:
            superseded_at = row.active_from
    return states


def _open(master_key: bytes, row: KeyRow) -> bytes:
    return unseal(master_key, row.sealed_material, purpose=_purpose(row.id))


def _purpose(key_id: int) -> bytes:
    return b"key-ring\x00" + key_id.to_bytes(4, "big")
