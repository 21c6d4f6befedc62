"""Parsing hostile text: MalformedPolicy and nothing else, in bounded time; and what counts as size."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.errors import MalformedPolicy
from broker.policy.compile import compile_document
from broker.policy.document import PolicyKind, parse_policy, policy_size
from broker.policy.reader import MAX_CHARACTERS, place

KINDS = st.sampled_from(list(PolicyKind))
STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
WORDS = [
    "Version",
    "2012-10-17",
    "Statement",
    "Effect",
    "Allow",
    "Deny",
    "Action",
    "NotAction",
    "Resource",
    "Sid",
    "Id",
    "Principal",
    "AWS",
    "Federated",
    "Condition",
    "StringLike",
    "Bool",
    "IpAddress",
    "ArnLike",
    "DateLessThan",
    "BinaryEquals",
    "NumericEquals",
    "Null",
    "*",
    "s3:*",
    "arn:aws:s3:::a",
    "${aws:x}",
    "111122223333",
    "a:b",
]
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(WORDS))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner),
    max_leaves=20,
)


def parses(text, kind):
    """Whether the text is a policy; any exception but MalformedPolicy fails the test."""
    try:
        compile_document(parse_policy(text, kind))
    except MalformedPolicy:
        return False
    return True


@given(st.text(), KINDS)
@example("\ud800", PolicyKind.IDENTITY)
@example("{" * 2000, PolicyKind.TRUST)
def test_any_text_parses_or_is_malformed(text, kind):
    parses(text, kind)


@given(values, KINDS)
def test_any_json_parses_or_is_malformed(value, kind):
    parses(json.dumps(value), kind)


@given(st.dictionaries(st.sampled_from(WORDS), values), KINDS)
def test_any_statement_parses_or_is_malformed(statement, kind):
    parses(json.dumps({"Version": "2012-10-17", "Statement": {**STATEMENT, **statement}}), kind)


@given(st.sampled_from(WORDS), values)
def test_any_condition_parses_or_is_malformed(operator, value):
    document = {"Version": "2012-10-17", "Statement": {**STATEMENT, "Condition": {operator: {"a:b": value}}}}
    parses(json.dumps(document), PolicyKind.IDENTITY)


@given(st.data())
def test_a_changed_document_parses_or_is_malformed(data):
    text = json.dumps({"Version": "2012-10-17", "Statement": [{**STATEMENT, "Condition": {"Bool": {"a:b": "true"}}}]})
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    parses(text[:start] + data.draw(st.text('{}[]",:\\*${} \n', max_size=4)) + text[end:], PolicyKind.IDENTITY)


def statement_text(field):
    return '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*",' + field + "}]}"


BIG = MAX_CHARACTERS - 200
HOSTILE = {
    "open-objects": '{"a":' * (BIG // 5),
    "open-lists": "[" * BIG,
    "open-string": '"' + "a" * BIG,
    "escaped-quotes": '"' + '\\"' * (BIG // 2),
    "backslashes": '"' + "\\" * BIG,
    "huge-number": '{"Statement":' + "9" * BIG + "}",
    "huge-exponent": '{"Statement":1e' + "9" * BIG + "}",
    "white-space": " " * BIG + "x",
    "open-variable": statement_text('"Resource":"arn:aws:s3:::${a' + " " * (BIG - 100) + '"'),
    "open-variables": statement_text('"Resource":"arn:aws:s3:::' + "${a" * (BIG // 3 - 100) + '"'),
    "open-default": statement_text('"Resource":"arn:aws:s3:::${a, \'' + "x" * (BIG - 100) + '"'),
    "principal-host": '{"Statement":{"Effect":"Allow","Principal":{"Federated":"' + "a-" * (BIG // 2 - 100) + '"}}}',
    "wildcards": statement_text('"Resource":"arn:aws:s3:::' + "*a?" * (BIG // 3 - 100) + '"'),
    "many-values": statement_text(
        '"Resource":"*","Condition":{"StringLike":{"a:b":[' + ",".join(['"*a?"'] * (BIG // 6 - 100)) + "]}}"
    ),
    "many-statements": '{"Statement":[' + ",".join([json.dumps(STATEMENT)] * (BIG // 70)) + "]}",
    "many-networks": statement_text(
        '"Resource":"*","Condition":{"IpAddress":{"a:b":['
        + ",".join(f'"10.{i // 256}.{i % 256}.0/24"' for i in range(BIG // 18))
        + "]}}"
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_take_bounded_time(name):
    """STS-07. The bound is generous because the machine may be busy; anything quadratic is minutes away from it."""
    text = HOSTILE[name]
    assert len(text) <= MAX_CHARACTERS
    for kind in (PolicyKind.IDENTITY, PolicyKind.TRUST):
        started = time.process_time()
        parses(text, kind)
        policy_size(text)
        assert time.process_time() - started < 2.5


def test_the_place_counts_from_one():
    assert place("ab\ncd", 0) == (1, 1)
    assert place("ab\ncd", 3) == (2, 1)
    assert place("ab\ncd", 4) == (2, 2)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", 0),
        ("{}", 2),
        ("{ }\r\n\t", 2),
        ('{ "a b" : 1 }', 9),
        ('"a\\" b" ', 7),
        ('"\\\\" " "', 7),
        ('" open ', 7),
        ('"\\', 2),
        ("a\u00a0b", 3),
    ],
)
def test_policy_size_leaves_out_white_space_between_tokens(text, size):
    assert policy_size(text) == size


@given(values, st.sampled_from([None, 1, 4]))
def test_policy_size_is_that_of_the_compact_form(value, indent):
    compact = json.dumps(value, separators=(",", ":"))
    assert policy_size(json.dumps(value, indent=indent)) == len(compact)


def test_statements_know_their_place():
    text = '{"Version": "2012-10-17",\n "Statement": [\n  ' + json.dumps(STATEMENT) + "]}"
    (statement,) = parse_policy(text, PolicyKind.IDENTITY).statements
    assert json.loads(text[statement.start : statement.end]) == STATEMENT
    assert place(text, statement.start) == (3, 3)
