"""Names and passwords at sign-in: PW-01 (guessing), PW-02 (who exists), and when a password is no longer good."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from simulated_account import ACCOUNT, NOW, OTHER, make_services
from sqlalchemy import func, select

from broker.domain.secret import Secret
from broker.errors import AccessDenied, BrokerError, Throttled, Unavailable
from broker.iam.password_rules import PasswordPolicy
from broker.iam.sign_in import USER, SignIn, verify_password
from broker.services import Services
from broker.store.entities import find_entity_by_name
from broker.store.login_profiles import (
    LoginProfile,
    find_login_profile,
    insert_login_profile,
    renew_hash,
    set_reset_required,
)
from broker.store.password_attempts import Bucket, take_attempt
from broker.store.password_policies import put_password_policy
from broker.store.tables import password_attempts

RIGHT, WRONG = Secret("Wolf7!lantern"), Secret("Wolf7!lanterm")
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"
MOMENT = int(NOW.timestamp())


class Quick:
    """Hashing that takes no time, where only the counting matters; ``Passwords`` has tests of its own."""

    def matches(self, stored: str | None, password: Secret) -> bool:
        return stored == password.reveal()

    def renewed(self, stored: str, password: Secret) -> str | None:
        return None


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path)
    with made.database.change() as connection:
        alice = find_entity_by_name(connection, ACCOUNT, "user", "alice")
        assert alice is not None
        insert_login_profile(connection, LoginProfile(alice.id, RIGHT.reveal(), False, MOMENT, MOMENT))
    yield made
    made.usage.close()
    made.audit.close()
    made.database.close()


@pytest.fixture
def quick(services: Services) -> Services:
    object.__setattr__(services, "passwords", Quick())
    return services


def attempt(
    services: Services,
    name: str = "alice",
    password: Secret = WRONG,
    address: str = HOME,
    now: datetime = NOW,
    account: str = ACCOUNT,
) -> SignIn | BrokerError:
    try:
        return verify_password(services, account, name, password, address, now)
    except BrokerError as error:
        return error


def kind(result: object) -> str:
    return type(result).__name__


def set_policy(services: Services, **settings: Any) -> None:
    with services.database.change() as connection:
        put_password_policy(connection, ACCOUNT, asdict(PasswordPolicy(**settings)))


def profile_of(services: Services, name: str = "alice") -> LoginProfile:
    with services.database.read() as connection:
        user = find_entity_by_name(connection, ACCOUNT, "user", name)
        assert user is not None
        found = find_login_profile(connection, user.id)
    assert found is not None
    return found


def test_the_right_password(quick: Services) -> None:
    found = attempt(quick, "ALICE", RIGHT)
    assert isinstance(found, SignIn)
    assert (found.user.name, found.change_required) == ("alice", False)
    assert profile_of(quick).last_used_at == MOMENT


@pytest.mark.parametrize(
    ("name", "password", "account"),
    [
        ("alice", WRONG, ACCOUNT),
        ("alice", Secret(""), ACCOUNT),
        ("bob", RIGHT, ACCOUNT),  # has no password
        ("nobody", RIGHT, ACCOUNT),
        ("alice", RIGHT, OTHER),
        ("alice", RIGHT, "999999999999"),
        ("x" * 10_000, RIGHT, ACCOUNT),
        ("\ud800", RIGHT, ACCOUNT),
    ],
)
def test_every_refusal_sounds_the_same(quick: Services, name: str, password: Secret, account: str) -> None:
    refusal = attempt(quick, name, password, account=account)
    assert isinstance(refusal, AccessDenied)
    assert refusal.message == "Your authentication information is incorrect. Please try again."


def test_a_password_that_somebody_else_set_has_to_be_changed(quick: Services) -> None:
    with quick.database.change() as connection:
        set_reset_required(connection, profile_of(quick).user_id, True)
    found = attempt(quick, password=RIGHT)
    assert isinstance(found, SignIn)
    assert found.change_required


def test_an_old_password_has_to_be_changed(quick: Services) -> None:
    set_policy(quick, max_password_age=30)
    before = attempt(quick, password=RIGHT, now=NOW + timedelta(days=30, seconds=-1))
    after = attempt(quick, password=RIGHT, now=NOW + timedelta(days=30))
    assert isinstance(before, SignIn)
    assert isinstance(after, SignIn)
    assert (before.change_required, after.change_required) == (False, True)


def test_after_a_hard_expiry_it_is_a_wrong_one(quick: Services) -> None:
    set_policy(quick, max_password_age=30, hard_expiry=True)
    assert isinstance(attempt(quick, password=RIGHT), SignIn)
    refusal = attempt(quick, password=RIGHT, now=NOW + timedelta(days=30))
    assert isinstance(refusal, AccessDenied)
    assert refusal.message == attempt(quick, "nobody", RIGHT).message  # type: ignore[union-attr]
    assert "expired" in refusal.detail


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_guesses_from_one_address_are_slowed_down(quick: Services, name: str) -> None:
    said = [kind(attempt(quick, name)) for _ in range(7)]
    assert said == ["AccessDenied"] * 5 + ["Throttled"] * 2
    assert isinstance(attempt(quick, name, RIGHT), Throttled), "whatever the password"
    later = NOW + timedelta(seconds=60)
    assert [kind(attempt(quick, name, now=later)) for _ in range(2)] == ["AccessDenied", "Throttled"]


def test_a_stranger_locks_nobody_out(quick: Services) -> None:
    for _ in range(20):
        attempt(quick, address=ELSEWHERE)
    assert isinstance(attempt(quick, password=RIGHT, address=HOME), SignIn)


def test_many_strangers_do_not_lock_out_who_was_here_before(quick: Services) -> None:
    assert isinstance(attempt(quick, password=RIGHT, address=HOME), SignIn)
    said = [kind(attempt(quick, address=f"198.51.{number // 200}.{number % 200}")) for number in range(150)]
    assert said.count("Throttled") >= 49
    assert isinstance(attempt(quick, password=RIGHT, address=HOME), SignIn)
    assert isinstance(attempt(quick, password=RIGHT, address="203.0.113.1"), Throttled)


def test_at_most_a_thousand_guesses_an_hour(quick: Services) -> None:
    """A guess every other second, for longer than an hour."""
    looked_at = []
    with quick.database.write() as connection:
        for second in range(0, 5_400, 2):
            if take_attempt(connection, {"user:alice": USER}, MOMENT + second):
                looked_at.append(second)
    assert max(sum(start <= second < start + 3_600 for second in looked_at) for start in looked_at) in range(500, 1_001)
    alice = profile_of(quick).user_id
    assert isinstance(attempt(quick), AccessDenied)
    with quick.database.read() as connection:
        subjects = set(connection.execute(select(password_attempts.c.subject)).scalars())
    assert {f"user:{alice}", f"user:{alice}@{HOME}", f"address:{HOME}"} <= subjects


def test_spraying_from_one_address_is_slowed_down(quick: Services) -> None:
    said = [kind(attempt(quick, f"user-{number}")) for number in range(60)]
    assert said == ["AccessDenied"] * 50 + ["Throttled"] * 10
    assert isinstance(attempt(quick, "alice", RIGHT, ELSEWHERE), SignIn)


def test_addresses_of_one_ipv6_network_are_one(quick: Services) -> None:
    said = [kind(attempt(quick, address=f"2001:db8:0:1::{number:x}")) for number in range(1, 8)]
    assert said == ["AccessDenied"] * 5 + ["Throttled"] * 2
    assert kind(attempt(quick, address="2001:db8:0:2::1")) == "AccessDenied"
    assert kind(attempt(quick, address="no address")) == "AccessDenied"


def test_right_passwords_do_not_count(quick: Services) -> None:
    for _ in range(30):
        assert isinstance(attempt(quick, password=RIGHT), SignIn)


def test_guesses_at_once_are_counted_each(quick: Services) -> None:
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: kind(attempt(quick)), range(40)))
    assert said.count("AccessDenied") == 5


def test_an_attempt_that_was_not_looked_at_does_not_count(quick: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(self: Quick, stored: str | None, password: Secret) -> bool:
        raise Unavailable("busy")

    with monkeypatch.context() as patch:
        patch.setattr(Quick, "matches", busy)
        for _ in range(10):
            assert isinstance(attempt(quick), Unavailable)
    assert isinstance(attempt(quick, password=RIGHT), SignIn)


def test_attempts_are_forgotten(quick: Services) -> None:
    for number in range(40):
        attempt(quick, f"user-{number}", address=f"192.0.2.{number}")
    attempt(quick, password=RIGHT, now=NOW + timedelta(hours=2))
    with quick.database.read() as connection:
        left = connection.execute(select(func.count()).select_from(password_attempts)).scalar_one()
    assert left <= 4


def test_buckets() -> None:
    bucket = Bucket(5, 60)
    assert [bucket.level(5, 0, now) for now in (0, 59, 60, 150, 10_000)] == [5, 5, 4, 3, 0]
    assert bucket.level(5, 1_000, 0) == 5, "a clock that was set back frees nobody"


def test_a_weak_hash_is_made_anew_at_sign_in(services: Services) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(RIGHT.reveal())
    before = profile_of(services)
    with services.database.change() as connection:
        renew_hash(connection, before, weak)
    assert isinstance(attempt(services, password=RIGHT), SignIn)
    assert "m=47104" in profile_of(services).password_hash
    assert profile_of(services).changed_at == before.changed_at
    assert isinstance(attempt(services, password=RIGHT), SignIn)


def test_users_that_exist_and_others_take_the_same_time(services: Services) -> None:
    """PW-02: in turns, so that whatever else the machine does falls on both alike; the medians are compared.

    Each attempt is from another address and of another hour: none is slowed down.
    """
    hashed = services.passwords.hash(RIGHT)
    with services.database.change() as connection:
        renew_hash(connection, profile_of(services), hashed)
    times: dict[str, list[float]] = {"alice": [], "nobody": [], "bob": []}
    for turn in range(30):
        for name, found in times.items():
            start = time.perf_counter()
            said = attempt(services, name, address=f"10.0.{turn}.1", now=NOW + timedelta(hours=turn))
            found.append(time.perf_counter() - start)
            assert isinstance(said, AccessDenied)
    exists = statistics.median(times["alice"])
    for name in ("nobody", "bob"):
        spread = statistics.median(abs(moment - exists) for moment in times["alice"])
        difference = abs(statistics.median(times[name]) - exists)
        assert difference < max(0.005, 2 * spread), (name, difference, spread)
