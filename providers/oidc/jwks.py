"""An issuer's signing keys: parsed strictly, kept fresh in the background, never fetched at a caller's pace.

A hanging issuer must not hold up anybody else: fetches run in a thread of their own, one at a time an issuer; a request
waits for one only while the gate has room, else it is told to try again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from providers.errors import MalformedEvidence, ProviderUnreachable, SignatureInvalid
from providers.oidc.token import read_object

UNKNOWN_KEY_SECONDS = 30.0
"""A key id that we do not know leads to a fetch at most this often."""
RETRY_SECONDS = 5.0
"""After a failed fetch, with no usable keys."""
STALE_SECONDS = 24 * 3600.0
"""How long the last good keys serve while the issuer cannot be reached."""
MINIMUM_FRESH_SECONDS, MAXIMUM_FRESH_SECONDS = 60.0, 24 * 3600.0
_REFRESH_AT = 0.8
"""The part of its freshness after which a key set in use is fetched again, without anybody waiting."""
_MAX_KEYS = 100
_MINIMUM_RSA_BITS = 2_048
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key with the algorithms that it may verify: its own ``alg``, else those of its type."""

    by_algorithm: Mapping[str, PyJWK]


Keys = Mapping[str | None, VerificationKey]


def parse_jwks(text: bytes) -> Keys:
    """The usable keys by their id (RFC 7517). What is not for signatures, weak or ambiguous is left out.

    Keys without an id count as one name: two of them are ambiguous. Raises ProviderUnreachable if it is no key set.
    """
    try:
        entries = read_object(text, "JWKS").get("keys")
    except MalformedEvidence as error:
        raise ProviderUnreachable("The identity provider's keys cannot be read.", detail=error.detail) from None
    if not isinstance(entries, list) or len(entries) > _MAX_KEYS:
        raise ProviderUnreachable("The identity provider's keys cannot be read.", detail="keys is no list, or too long")
    found: dict[str | None, VerificationKey | None] = {}
    for entry in entries:
        key_id = entry.get("kid") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not (key_id is None or isinstance(key_id, str)):
            continue
        key = _parse_key(entry)
        if key is not None:
            found[key_id] = None if key_id in found else key  # the same id twice names neither
    return {key_id: key for key_id, key in found.items() if key is not None}


def _parse_key(entry: Mapping[str, Any]) -> VerificationKey | None:
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    stated = entry.get("alg")
    kind, curve = entry.get("kty"), entry.get("crv")
    fitting: tuple[str, ...] = ()
    if kind == "RSA":
        fitting = _RSA
    elif kind == "EC" and isinstance(curve, str) and curve in _CURVES:
        fitting = (_CURVES[curve],)
    elif kind == "OKP" and curve == "Ed25519":
        fitting = ("EdDSA",)
    algorithms = fitting if stated is None else tuple(name for name in fitting if name == stated)
    public = {name: value for name, value in entry.items() if name in ("kty", "crv", "x", "y", "n", "e")}
    try:
        made = {name: PyJWK(public, algorithm=name) for name in algorithms}
    except (PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    if kind == "RSA" and any(jwk.key.key_size < _MINIMUM_RSA_BITS for jwk in made.values()):
        return None
    return VerificationKey(made) if made else None


class FetchGate:
    """How many requests of this worker may wait for issuers at a time; keep it below the worker's threads.

    ``all_waiting`` has the places of whatever else waits too.
    """

    def __init__(self, places: int, all_waiting: threading.Semaphore | None = None) -> None:
        self._free = threading.Semaphore(places)
        self._all = all_waiting or threading.Semaphore(places)

    def wait(self, done: threading.Event, seconds: float) -> bool:
        """Whether ``done`` came; at once False if all places are taken."""
        if not self._free.acquire(blocking=False):
            return False
        try:
            if not self._all.acquire(blocking=False):
                return False
            try:
                return done.wait(seconds)
            finally:
                self._all.release()
        finally:
            self._free.release()


class StaticKeys:
    """Keys that were uploaded, for issuers that cannot be reached; nothing is ever fetched."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def find(self, key_id: str | None, algorithm: str) -> VerificationKey:
        return _pick(self._keys, key_id, algorithm)

    def prefetch(self) -> None:
        """There is nothing to fetch."""


class FetchedKeys:
    """Keys that ``load`` fetches: with how long they are fresh, in seconds, if the issuer said so."""

    def __init__(
        self,
        load: Callable[[], tuple[Keys, int | None]],
        gate: FetchGate,
        *,
        fresh_seconds: float,
        wait_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load, self._gate, self._clock = load, gate, clock
        self._fresh_seconds, self._wait_seconds = fresh_seconds, wait_seconds
        self._lock = threading.Lock()
        self._keys: Keys = {}
        self._fetched_at = self._refresh_at = self._fresh_until = float("-inf")
        self._tried_at = float("-inf")
        self._running: threading.Event | None = None
        self._failure = ""

    def find(self, key_id: str | None, algorithm: str) -> VerificationKey:
        """The key of this id, else the only one for ``algorithm``.

        1. Keys past their age are of no use: wait for new ones. 2. Keys past their freshness may hold one that the
        issuer has withdrawn: ask it first, but go on with them if it fails, hangs, or too many wait already. 3. Nobody
        waits for keys that get old. 4. A key we do not know may be new.

        Raises SignatureInvalid if the issuer has no such key, ProviderUnreachable if we cannot know.
        """
        now = self._clock()
        if now - self._fetched_at > STALE_SECONDS:  # 1
            if not self._wait(self._refresh(RETRY_SECONDS)) or self._clock() - self._fetched_at > STALE_SECONDS:
                raise self._unreachable()
        elif now >= self._fresh_until:  # 2
            fetch = self._refresh(RETRY_SECONDS)
            if not self._failure:
                self._wait(fetch)
        elif now >= self._refresh_at:  # 3
            self._refresh(RETRY_SECONDS)
        try:
            return _pick(self._keys, key_id, algorithm)
        except SignatureInvalid:
            if not self._wait(self._refresh(UNKNOWN_KEY_SECONDS)) or self._failure:  # 4
                raise self._unreachable() from None
            return _pick(self._keys, key_id, algorithm)

    def prefetch(self) -> None:
        """Start a fetch if the keys get old; nobody waits."""
        if self._clock() >= self._refresh_at:
            self._refresh(RETRY_SECONDS)

    def _refresh(self, interval: float) -> threading.Event | None:
        """The end of the fetch under way. Starts one, unless the last began less than ``interval`` ago: then None."""
        with self._lock:
            if self._running is None:
                if self._clock() - self._tried_at < interval:
                    return None
                self._tried_at = self._clock()
                done = threading.Event()
                threading.Thread(target=self._fetch, args=(done,), name="key-fetch", daemon=True).start()
                self._running = done  # after a start that may fail; the fetch ends by taking the lock
            return self._running

    def _wait(self, fetch: threading.Event | None) -> bool:
        """Whether there is nothing left to wait for."""
        return fetch is None or self._gate.wait(fetch, self._wait_seconds)

    def _fetch(self, done: threading.Event) -> None:
        began = self._clock()
        try:
            keys, max_age = self._load()
            fresh = self._fresh_seconds if max_age is None else min(float(max_age), self._fresh_seconds)
            fresh = min(max(fresh, MINIMUM_FRESH_SECONDS), MAXIMUM_FRESH_SECONDS)
            self._keys, self._failure = keys, ""
            self._fetched_at, self._refresh_at, self._fresh_until = began, began + _REFRESH_AT * fresh, began + fresh
        except ProviderUnreachable as error:
            self._failure = error.detail or error.message
            _log.warning("issuer's keys cannot be fetched", extra={"detail": error.detail})
        finally:
            with self._lock:
                self._running = None
            done.set()

    def _unreachable(self) -> ProviderUnreachable:
        return ProviderUnreachable(
            "The identity provider could not be reached.", detail=self._failure or "its keys are still being fetched"
        )


def _pick(keys: Keys, key_id: str | None, algorithm: str) -> VerificationKey:
    """The key of ``key_id``; a token without one may use the only key of its algorithm (RFC 7515, section 4.1.4)."""
    if key_id is not None:
        key = keys.get(key_id)
    else:
        fitting = [key for key in keys.values() if algorithm in key.by_algorithm]
        key = fitting[0] if len(fitting) == 1 else None
    if key is None:
        raise SignatureInvalid("The token's signature could not be verified", detail="no key of this kid")
    return key
