"""TOTP codes against a clock of our own: each counts once, only for its owner, and guessing is slowed down."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from broker.domain.principal import Principal, PrincipalKind
from broker.domain.secret import Secret
from broker.errors import AccessDenied
from broker.mfa import MfaVerifier, is_seed, seal_seed
from broker.store.accounts import put_account
from broker.store.engine import Database
from broker.store.entities import put_entity
from broker.store.mfa_devices import MfaDevice, put_mfa_device

ACCOUNT = "123456789012"
SERIAL = f"arn:aws:iam::{ACCOUNT}:mfa/phone"
ROOTS = f"arn:aws:iam::{ACCOUNT}:mfa/root"
MASTER = bytes(32)
SEED = "JBSWY3DPEHPK3PXPJBSWY3DP"
NOW = datetime(2026, 11, 24, 12, 0, 10, tzinfo=UTC)
ALICE = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice", "AIDAALICE", user_name="alice")
ROOT = Principal(PrincipalKind.ROOT, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)


@pytest.fixture
def database(open_store: Callable[..., Database]) -> Database:
    made = open_store()
    with made.change() as connection:
        put_account(connection, ACCOUNT, "", 0)
        put_entity(
            connection,
            new_id="AIDAALICE",
            kind="user",
            account=ACCOUNT,
            name="alice",
            path="/",
            arn=ALICE.arn,
            permissions_boundary=None,
            tags={},
            declared=True,
            now=0,
        )
        for serial, owner in ((SERIAL, "AIDAALICE"), (ROOTS, None)):
            device = MfaDevice(serial, ACCOUNT, owner, seal_seed(MASTER, serial, SEED))
            put_mfa_device(connection, device, declared=True, now=0)
    return made


@pytest.fixture
def verifier(database: Database) -> MfaVerifier:
    return MfaVerifier(database, MASTER)


def code(moment: datetime) -> Secret:
    return Secret(pyotp.TOTP(SEED).at(moment))


def _refused(verifier: MfaVerifier, principal: Principal, serial: str, given: Secret, now: datetime) -> str:
    with pytest.raises(AccessDenied) as refusal:
        verifier.verify(principal, serial, given, now)
    return refusal.value.detail


@pytest.mark.parametrize("drift", [-30, 0, 30])
def test_a_code_of_the_present_and_its_neighbours(verifier: MfaVerifier, drift: int) -> None:
    verifier.verify(ALICE, SERIAL, code(NOW + timedelta(seconds=drift)), NOW)


@pytest.mark.parametrize("drift", [-90, -60, 60, 90, 86_400])
def test_codes_of_other_times_are_wrong(verifier: MfaVerifier, drift: int) -> None:
    assert _refused(verifier, ALICE, SERIAL, code(NOW + timedelta(seconds=drift)), NOW) == "wrong code"


def test_no_code_twice_and_none_older_than_the_last(verifier: MfaVerifier) -> None:
    verifier.verify(ALICE, SERIAL, code(NOW), NOW)
    assert _refused(verifier, ALICE, SERIAL, code(NOW), NOW) == "the code was used before"
    earlier = code(NOW - timedelta(seconds=30))
    assert _refused(verifier, ALICE, SERIAL, earlier, NOW) == "the code was used before"
    verifier.verify(ALICE, SERIAL, code(NOW + timedelta(seconds=30)), NOW)


def test_of_two_at_once_one_is_accepted(verifier: MfaVerifier) -> None:
    def attempt(_: int) -> bool:
        try:
            verifier.verify(ALICE, SERIAL, code(NOW), NOW)
        except AccessDenied:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [False, False, False, True]


@pytest.mark.parametrize(
    ("principal", "serial"),
    [
        (ROOT, SERIAL),
        (ALICE, ROOTS),
        (ALICE, SERIAL + "2"),
        (Principal(PrincipalKind.USER, "210987654321", ALICE.arn, "AIDAALICE"), SERIAL),
        (Principal(PrincipalKind.USER, ACCOUNT, ALICE.arn, "AIDAOTHER"), SERIAL),
        (Principal(PrincipalKind.ROLE_SESSION, ACCOUNT, "arn", "AROA1:AIDAALICE"), SERIAL),
        (Principal(PrincipalKind.FEDERATED_USER, ACCOUNT, "arn", f"{ACCOUNT}:alice"), SERIAL),
    ],
)
def test_a_device_is_its_owners_alone(verifier: MfaVerifier, principal: Principal, serial: str) -> None:
    assert _refused(verifier, principal, serial, code(NOW), NOW) == "no such device of this user"


def test_the_root_users_device(verifier: MfaVerifier) -> None:
    verifier.verify(ROOT, ROOTS, code(NOW), NOW)


@pytest.mark.parametrize("given", [(SERIAL, None), (None, Secret("123456"))])
def test_number_and_code_come_together(verifier: MfaVerifier, given: tuple[str | None, Secret | None]) -> None:
    with pytest.raises(AccessDenied):
        verifier.verify(ALICE, *given, NOW)


def test_guesses_end_in_pauses(verifier: MfaVerifier) -> None:
    wrong = code(NOW + timedelta(hours=1))
    for _ in range(5):
        assert _refused(verifier, ALICE, SERIAL, wrong, NOW) == "wrong code"
    assert "too many" in _refused(verifier, ALICE, SERIAL, code(NOW), NOW)
    later = NOW + timedelta(seconds=61)
    assert _refused(verifier, ALICE, SERIAL, wrong, later) == "wrong code"
    assert "too many" in _refused(verifier, ALICE, SERIAL, code(later), later)
    later += timedelta(seconds=61)
    verifier.verify(ALICE, SERIAL, code(later), later)
    assert _refused(verifier, ALICE, SERIAL, wrong, later) == "wrong code", "a right code begins the count anew"


def test_guesses_at_once_are_counted_each(verifier: MfaVerifier) -> None:
    wrong = code(NOW + timedelta(hours=1))
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: _refused(verifier, ALICE, SERIAL, wrong, NOW), range(40)))
    assert said.count("wrong code") <= 5, "codes are looked at in turn, however many come at once"


def test_a_seed_is_sealed_for_its_device(database: Database) -> None:
    with database.read() as connection:
        raw = connection.exec_driver_sql("SELECT sealed_seed FROM mfa_devices").scalars().all()
    assert all(SEED.encode() not in sealed for sealed in raw)


@pytest.mark.parametrize(
    ("text", "good"), [(SEED, True), (SEED.lower(), True), ("A" * 15, False), ("1" * 24, False), ("", False)]
)
def test_what_a_seed_is(text: str, good: bool) -> None:
    assert is_seed(text) is good
