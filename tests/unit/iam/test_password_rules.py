"""Which passwords are good enough: each rule has a password that breaks it alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import PasswordPolicyViolation
from broker.iam.password_rules import SYMBOLS, PasswordPolicy, check_password

NAMES = ("alice", "123456789012", "example-corp")
STRICT = PasswordPolicy(14, True, True, True, True)


def broken(policy: PasswordPolicy | None, password: str) -> str:
    with pytest.raises(PasswordPolicyViolation) as refusal:
        check_password(policy, password, NAMES)
    return refusal.value.message


@pytest.mark.parametrize("password", ["Wolf7lantern", "wolf7!lantern", "WOLF!lantern", "Quay-of-9-Geese", "Xk2!mmqP"])
def test_good_without_a_policy(password: str) -> None:
    check_password(None, password, NAMES)


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("Wolf7!x", "minimum length of 8"),
        ("wolflantern7", "at least three of"),
        ("WOLF!LANTERN", "at least three of"),
        ("wolf~lantern7", "at least three of"),  # no symbol of AWS's list
        ("Password1", "common"),
        ("P@ssw0rd", "common"),
        ("Qwerty123!", "common"),
        ("123Dragon!", "common"),
        ("@Dmin1234", "common"),
        ("Alice-2026", "resemble"),
        ("Alic3!99", "resemble"),
        ("2026-ecilA!", "resemble"),
        ("123456789012aA", "resemble"),
        ("Example-C0rp", "resemble"),
    ],
)
def test_bad_without_a_policy(password: str, rule: str) -> None:
    assert rule in broken(None, password)


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("Wolf7!lantern", "minimum length of 14"),
        ("wolf7!lantern-quay", "at least one uppercase letter"),
        ("WOLF7!LANTERN-QUAY", "at least one lowercase letter"),
        ("Wolf!lantern-quay", "at least one number"),
        ("Wolf7lanternquays", "at least one symbol"),
    ],
)
def test_each_rule_of_a_policy(password: str, rule: str) -> None:
    assert rule in broken(STRICT, password)


def test_a_policy_may_ask_for_less_than_aws_does_without_one() -> None:
    check_password(PasswordPolicy(), "wolfqz", NAMES)
    assert "common" in broken(PasswordPolicy(), "monkey")


def test_many_digits_around_a_common_word_are_strength() -> None:
    check_password(None, "Tiger-938271046381", NAMES)


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255), min_size=1, max_size=128))
def test_what_is_allowed_keeps_the_rules(password: str) -> None:
    try:
        check_password(STRICT, password, NAMES)
    except PasswordPolicyViolation:
        return
    assert len(password) >= 14
    assert any(character in SYMBOLS for character in password)
    assert any(character.isdigit() for character in password)


@pytest.mark.parametrize(
    "password", ["4@8({[<369&#!1/|0$5+7%2" * 6, "a" * 128, "aA1!" * 32, "alice" * 25, "alicf" * 25]
)
def test_no_password_takes_long(password: str) -> None:
    start = time.process_time()
    for _ in range(10):
        try:
            check_password(None, password[:128], ("a" * 64, *NAMES))
        except PasswordPolicyViolation:
            pass
    assert time.process_time() - start < 1.0
