"""What is said to be covered is covered: compared with the matcher over every short text."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.policy.lint.containment import Patterns
from broker.policy.match import matches, tokens

TEXTS = ["".join(letters) for length in range(5) for letters in product("ab", repeat=length)]
_PATTERNS = st.text("ab*?", min_size=1, max_size=5)


@given(_PATTERNS, _PATTERNS)
def test_a_yes_is_certain(wide: str, narrow: str) -> None:
    if Patterns(fold=False).covers(wide, narrow):
        assert not [text for text in TEXTS if matches(tokens(narrow), text) and not matches(tokens(wide), text)]


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ("*", "a", True),
        ("a*", "ab", True),
        ("a*", "a*b", True),
        ("a?", "ab", True),
        ("a", "a", True),
        ("a*", "a${x}", True),
        ("a", "ab", False),
        ("ab*", "a*", False),
        ("a?", "a*", False),
        ("*x*", "a${x}", False),
        ("a${x}*", "ab", False),
        ("A*", "ab", False),
    ],
)
def test_coverage(wide: str, narrow: str, covered: bool) -> None:
    assert Patterns(fold=False).covers(wide, narrow) is covered


def test_actions_are_covered_whatever_their_case() -> None:
    assert Patterns(fold=True).covers("S3:get*", "s3:GetObject")
    assert not Patterns(fold=False).covers("S3:get*", "s3:GetObject")


def test_when_the_budget_is_spent_nothing_is_covered() -> None:
    patterns = Patterns(fold=False)
    assert patterns.covers("a*", "ab")
    while not patterns.spent():
        pass
    assert not patterns.covers("a*", "ab")
    assert list(patterns.redundant(["a*", "ab", "ab"])) == [(2, 1)]
