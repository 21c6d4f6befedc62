"""The wildcard matcher against regular expressions, the index against a walk, and the cost of the nastiest patterns."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.principal import Principal, PrincipalKind
from broker.policy.compile import compile_policy
from broker.policy.document import PolicyKind
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate
from broker.policy.index import EVERYTHING, Head, HeadIndex, StatementIndex, file
from broker.policy.match import compile_any, matches, tokens

texts = st.text("ab:", max_size=12)
patterns = st.text("ab:*?", max_size=12)


def expression(pattern):
    return "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)


@given(patterns, texts)
def test_a_pattern_matches_as_its_regular_expression_does(pattern, text):
    assert matches(tokens(pattern), text) is (re.fullmatch(expression(pattern), text, re.DOTALL) is not None)


@given(st.lists(patterns, max_size=6), texts)
def test_a_list_matches_if_one_of_it_does(listed, text):
    expected = any(re.fullmatch(expression(pattern), text, re.DOTALL) for pattern in listed)
    assert compile_any([tokens(pattern) for pattern in listed])(text) is expected


heads = st.builds(Head, st.text("ab", max_size=6), whole=st.booleans())


@given(st.lists(st.tuples(heads, st.integers(0, 9)), max_size=20), st.text("ab", max_size=8))
def test_the_head_index_finds_what_a_walk_finds(entries, text):
    found = {value for group in HeadIndex(entries, tuple).find(text) for value in group}
    expected = {value for head, value in entries if (text == head.text if head.whole else text.startswith(head.text))}
    assert found == expected


def test_a_large_group_is_searched_by_action():
    filed = [
        file(name, frozenset({"s3"}), (Head(f"s3:{name}", whole=True),), (EVERYTHING,))
        for name in (f"n{number}" for number in range(100))
    ]
    assert StatementIndex(filed).candidates("s3", "s3:n7", "anything") == ("n7",)
    assert StatementIndex(filed).candidates("sqs", "sqs:n7", "anything") == ()


USER = Principal(PrincipalKind.USER, "111122223333", "arn:aws:iam::111122223333:user/bob", "AIDAEXAMPLEEXAMPLE01")
QUOTA = 10_000
TEXT = "a" * 2_048


def condition(operator, value, have=TEXT):
    many = [value.format(number=number) for number in range(10_000)]
    size = 0
    taken = []
    for one in many:
        size += len(one) + 3
        if size > QUOTA:
            break
        taken.append(one)
    return {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {"k:v": taken}}}


NASTY = {
    "all-questions": {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::*a" + "?" * 9_000},
    "variable-tails": condition("StringLike", "*${{k:t}}{number}?*"),
    "stars": {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::" + "*a" * 4_900 + "b"},
    "questions": {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::" + "*?a" * 600 + "b"},
    "long-pieces": condition("StringLike", "*b" + "a" * 1_000 + "{number}*"),
    "short-pieces": condition("StringLike", "*{number}*"),
    "star-question": condition("StringLike", "*a?{number}*"),
    "arn-star-question": condition("ArnLike", "arn:*:*:*:*:*a?{number}"),
    "variables": condition("StringLike", "*${{k:t}}?{number}"),
    "arn-variables": condition("ArnLike", "arn:*:*:*:*:*${{k:t}}?{number}"),
    "numbers": condition("NumericEquals", "{number}"),
}


@pytest.mark.parametrize("name", NASTY)
def test_the_nastiest_policies_within_the_quotas_take_bounded_time(name):
    """STS-07. The product's bar is 10 ms; the test allows for a machine that is busy with other tests."""
    text = json.dumps({"Version": "2012-10-17", "Statement": NASTY[name]})
    policies = PolicySet(identity=(PolicySource("nasty", compile_policy(text, PolicyKind.IDENTITY)),))
    value = {"NumericEquals": "-1", "ArnLike": f"arn:aws:s3:::{TEXT}"}.get(*NASTY[name].get("Condition", {}), TEXT)
    context = {"k:v": (value,), "k:t": ("a" * 100,)}
    request = AccessRequest(USER, "s3:GetObject", f"arn:aws:s3:::{TEXT}", "111122223333", context)
    times = []
    for _ in range(5):
        started = time.process_time()
        decision = evaluate(request, policies)
        times.append(time.process_time() - started)
        assert decision.error is None
        assert not decision.allowed
    assert min(times) <= 0.030
