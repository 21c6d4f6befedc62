"""The keys behind tokens for relying parties: published before their first use, until their last token has expired.

Each account has keys of its own, so that a relying party that trusts one account's keys cannot be shown a token of
another's, not even if it forgets to compare the issuer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from broker.credentials.sealing import seal, unseal
from broker.credentials.signer import (
    NewSigningKey,
    SigningAlgorithm,
    SigningKey,
    generate_signing_key,
    load_signing_key,
)
from broker.store.engine import Database
from broker.store.outbound_federation import OutboundFederation, find_outbound_federation
from broker.store.signing_keys import SigningKeyRow, delete_signing_key, insert_signing_key, list_signing_keys

LONGEST_TOKEN_SECONDS = 3_600
LEEWAY_SECONDS = 300
"""How far the clocks of our nodes and of verifiers may be apart, together."""

_MAX_ACCOUNTS = 4_096


@dataclass(frozen=True, slots=True)
class SigningKeyState:
    """A key's life, for people. Times are seconds since the epoch; ``retires_at`` is None for the signing key."""

    kid: str
    account: str
    algorithm: str
    state: str
    created_at: int
    active_from: int
    retires_at: int | None


@dataclass(frozen=True, slots=True)
class _Account:
    federation: OutboundFederation
    keys: tuple[SigningKeyRow, ...]


class SigningRing:
    """The accounts' signing keys, read anew whenever the store has changed."""

    def __init__(self, database: Database, master_key: bytes) -> None:
        self._database = database
        self._master_key = master_key
        self._cache: tuple[int, dict[str, _Account]] = (-1, {})
        self._opened: dict[str, SigningKey] = {}

    def is_enabled(self, account: str) -> bool:
        """Whether tokens of ``account`` may be issued."""
        found = self._account(account)
        return found is not None and found.federation.enabled

    def signing_key(self, account: str, algorithm: SigningAlgorithm, now: datetime) -> SigningKey:
        """The newest of the account's keys that is active at ``now``. Raises LookupError if there is none."""
        found, moment = self._account(account), int(now.timestamp())
        for row in found.keys if found is not None else ():
            if row.algorithm == algorithm and row.active_from <= moment:
                return self._open(row)
        raise LookupError(f"account {account} has no active key for {algorithm}")

    def published_keys(self, account: str, now: datetime) -> list[Mapping[str, str]] | None:
        """The public keys (RFC 7517) that verify the account's tokens; None if it cannot have any token that lives.

        After the feature was disabled they stay until the last token issued before has expired.
        """
        found, moment = self._account(account), int(now.timestamp())
        if found is None or not (found.federation.enabled or moment < _gone_at(found.federation.changed_at)):
            return None
        states = key_states(found.keys, now)
        return [
            row.public_jwk
            for row, state in zip(found.keys, states, strict=True)
            if state.retires_at is None or moment < state.retires_at
        ]

    def add(
        self,
        connection: Connection,
        account: str,
        keys: Iterable[NewSigningKey],
        *,
        now: datetime,
        publish_seconds: int,
    ) -> None:
        """``add_signing_keys`` under this ring's master key."""
        add_signing_keys(connection, self._master_key, account, keys, now=now, publish_seconds=publish_seconds)

    def _account(self, account: str) -> _Account | None:
        revision = self._database.revision()
        known, accounts = self._cache
        if known != revision or len(accounts) >= _MAX_ACCOUNTS:
            accounts = {}
            self._cache = (revision, accounts)
        if account not in accounts:
            with self._database.read() as connection:
                federation = find_outbound_federation(connection, account)
                if federation is None:
                    return None  # not kept: names that do not exist are without end
                accounts[account] = _Account(federation, tuple(list_signing_keys(connection, account)))
        return accounts[account]

    def _open(self, row: SigningKeyRow) -> SigningKey:
        """A key never changes, so that an opened one outlives what else the store was asked to forget."""
        key = self._opened.get(row.kid)
        if key is None:
            if len(self._opened) >= _MAX_ACCOUNTS:
                self._opened = {}
            der = unseal(self._master_key, row.sealed_private_key, purpose=_purpose(row.account, row.kid))
            key = self._opened[row.kid] = load_signing_key(row.kid, SigningAlgorithm(row.algorithm), der)
        return key


def new_signing_keys() -> list[NewSigningKey]:
    """One key for each algorithm. It takes its time: make them before the transaction that stores them."""
    return [generate_signing_key(algorithm) for algorithm in SigningAlgorithm]


def add_signing_keys(
    connection: Connection,
    master_key: bytes,
    account: str,
    keys: Iterable[NewSigningKey],
    *,
    now: datetime,
    publish_seconds: int,
) -> None:
    """Publish ``keys`` at once and sign with them from ``publish_seconds`` from now on; drop those past their time.

    The delay lets every relying party that caches our keys read the new ones before it meets a token under them. An
    account's first keys need none, for nobody can have cached its keys without them: they count as active already,
    also on a node whose clock is behind.
    """
    moment = int(now.timestamp())
    present = list_signing_keys(connection, account)
    for state in key_states(present, now):
        if state.retires_at is not None and state.retires_at <= moment:
            delete_signing_key(connection, state.kid)
    active_from = math.ceil(now.timestamp()) + publish_seconds if present else moment - LEEWAY_SECONDS
    for key in keys:
        sealed = seal(master_key, key.private_key, purpose=_purpose(account, key.kid))
        insert_signing_key(
            connection, SigningKeyRow(key.kid, account, key.algorithm, sealed, key.public_jwk, moment, active_from)
        )


def key_states(rows: Iterable[SigningKeyRow], now: datetime) -> list[SigningKeyState]:
    """What each of an account's keys (the newest first) does at ``now``."""
    moment = int(now.timestamp())
    superseded_at: dict[str, int] = {}
    states = []
    for row in rows:
        since = superseded_at.get(row.algorithm)
        state = "pending" if row.active_from > moment else "signing" if since is None else "verifying"
        retires_at = None if since is None else _gone_at(since)
        states.append(
            SigningKeyState(row.kid, row.account, row.algorithm, state, row.created_at, row.active_from, retires_at)
        )
        if row.active_from <= moment:
            superseded_at[row.algorithm] = row.active_from
    return states


def _gone_at(last_signed_at: int) -> int:
    """When the last token that was signed at ``last_signed_at`` has expired everywhere."""
    return last_signed_at + LONGEST_TOKEN_SECONDS + LEEWAY_SECONDS


def _purpose(account: str, kid: str) -> bytes:
    return b"signing-key\x00" + account.encode("ascii") + b"\x00" + kid.encode("ascii")
