"""Quotas: the last that is within, the first that is not, and what counts."""

from __future__ import annotations

import json

import pytest

from broker.errors import LimitExceeded, MalformedPolicy
from broker.policy.document import PolicyKind, parse_policy
from broker.policy.quotas import (
    check_attached_policies,
    check_inline_policies_size,
    check_managed_policy_size,
    check_trust_policy_size,
)
from broker.policy.reader import MAX_CHARACTERS

STATEMENT = {"Sid": "", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def policy_of(size: int, *, indent: int | None = None) -> str:
    """A policy of this many characters that count."""
    document = {"Version": "2012-10-17", "Statement": STATEMENT}
    room = size - len(json.dumps(document, separators=(",", ":")))
    return json.dumps({**document, "Statement": {**STATEMENT, "Sid": "x" * room}}, indent=indent)


def _refused(sentence: str):
    return pytest.raises(LimitExceeded, match=f"^{sentence}$")


@pytest.mark.parametrize("limit", [2_048, 4_096, 8_192])
def test_a_trust_policy_ends_at_its_quota(limit: int) -> None:
    check_trust_policy_size(policy_of(limit), limit)
    with _refused(f"Cannot exceed quota for ACLSizePerRole: {limit}"):
        check_trust_policy_size(policy_of(limit + 1), limit)


def test_a_managed_policy_ends_at_its_quota() -> None:
    check_managed_policy_size(policy_of(6_144), 6_144)
    with _refused("Cannot exceed quota for PolicySize: 6144"):
        check_managed_policy_size(policy_of(6_145), 6_144)


@pytest.mark.parametrize(("holder", "limit"), [("user", 2_048), ("group", 5_120), ("role", 10_240)])
def test_inline_policies_are_counted_together(holder, limit: int) -> None:
    half = policy_of(limit // 2)
    check_inline_policies_size(holder, "ops", [half, half], limit)
    check_inline_policies_size(holder, "ops", [], limit)
    with _refused(f"Maximum policy size of {limit} bytes exceeded for {holder} ops"):
        check_inline_policies_size(holder, "ops", [half, policy_of(limit // 2 + 1)], limit)


@pytest.mark.parametrize(("holder", "word"), [("user", "User"), ("group", "Group"), ("role", "Role")])
def test_attached_policies_are_counted(holder, word: str) -> None:
    check_attached_policies(holder, 10, 10)
    with _refused(f"Cannot exceed quota for PoliciesPer{word}: 10"):
        check_attached_policies(holder, 11, 10)


def test_white_space_outside_of_strings_does_not_count() -> None:
    check_managed_policy_size(policy_of(6_144, indent=8), 6_144)
    check_managed_policy_size(policy_of(6_144) + "\r\n\t " * 1_000, 6_144)


@pytest.mark.parametrize("space", [" ", "\\n", "\\u0020", "\u00a0"])
def test_white_space_in_strings_counts(space: str) -> None:
    """As it is written: an escape is the characters that it is made of."""
    filled = policy_of(6_144).replace('"Allow"', f'"Allow{space}"')
    with pytest.raises(LimitExceeded):
        check_managed_policy_size(filled, 6_144)


def test_white_space_outside_of_ascii_is_no_white_space() -> None:
    with pytest.raises(LimitExceeded):
        check_managed_policy_size(policy_of(6_144) + "\u00a0", 6_144)


def test_what_may_be_read_at_all_is_bounded_before_with_its_white_space() -> None:
    text = policy_of(200)
    parse_policy(text + " " * (MAX_CHARACTERS - len(text)), PolicyKind.IDENTITY)
    with pytest.raises(MalformedPolicy, match="longer than 131072 characters"):
        parse_policy(text + " " * (MAX_CHARACTERS - len(text) + 1), PolicyKind.IDENTITY)
