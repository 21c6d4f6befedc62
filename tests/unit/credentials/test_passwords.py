"""Argon2id hashes: of a whole password, few at once, renewed when the parameters change (PW-03)."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher

import broker.credentials.passwords as module
from broker.credentials.passwords import LONGEST_BYTES, Passwords
from broker.domain.secret import Secret
from broker.errors import Unavailable

GOOD = Secret("Wolf7!lantern")


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords()


def test_a_hash_is_of_its_password_alone(passwords: Passwords) -> None:
    stored = passwords.hash(GOOD)
    assert stored.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert passwords.hash(GOOD) != stored, "two users with one password are not seen"
    assert passwords.matches(stored, Secret("Wolf7!lantern"))
    assert not passwords.matches(stored, Secret("wolf7!lantern"))
    assert not passwords.matches(None, GOOD)
    assert not passwords.matches("no hash", GOOD)


def test_no_byte_is_cut_off(passwords: Passwords) -> None:
    stored = passwords.hash(Secret("x" * 127 + "y"))
    assert not passwords.matches(stored, Secret("x" * 128))
    assert not passwords.matches(stored, Secret("x" * 72))


def test_what_is_too_long_is_not_hashed(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = passwords.hash(GOOD)
    monkeypatch.setattr(passwords, "_hasher", None)  # whatever asks it now, fails
    start = time.monotonic()
    assert not passwords.matches(stored, Secret("x" * 1_000_000))
    assert not passwords.matches(stored, Secret("ä" * (LONGEST_BYTES // 2 + 1)))
    assert time.monotonic() - start < 0.5


def test_one_at_a_time_and_the_rest_waits_or_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords, busy, most, lock = Passwords(), 0, 0, threading.Lock()

    class Slow:
        def hash(self, text: str) -> str:
            nonlocal busy, most
            with lock:
                busy += 1
                most = max(most, busy)
            time.sleep(0.1)
            with lock:
                busy -= 1
            return text

    monkeypatch.setattr(passwords, "_hasher", Slow())
    with ThreadPoolExecutor(12) as pool:
        assert len(list(pool.map(lambda _: passwords.hash(GOOD), range(12)))) == 12
    assert most == 1
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.15)

    def attempt(_: int) -> bool:
        try:
            passwords.hash(GOOD)
        except Unavailable:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        done = list(pool.map(attempt, range(12)))
    assert 1 <= done.count(True) < 12
    assert most == 1


def test_few_sign_ins_wait_and_the_rest_is_sent_away_at_once() -> None:
    passwords = Passwords()
    with passwords.admitted(), passwords.admitted(), pytest.raises(Unavailable), passwords.admitted():
        raise AssertionError("a third was let in")
    with passwords.admitted(), passwords.admitted():
        pass


def test_old_hashes_are_renewed(passwords: Passwords) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(GOOD.reveal())
    renewed = passwords.renewed(old, GOOD)
    assert renewed is not None
    assert passwords.matches(renewed, GOOD)
    assert passwords.renewed(renewed, GOOD) is None
