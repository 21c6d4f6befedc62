"""Hostile policies (attacks STS-07): what they cost when evaluated, and the place of the fault when refused."""

from __future__ import annotations

import json
import re
import time

import pytest

from broker.domain.principal import Principal, PrincipalKind
from broker.errors import MalformedPolicy
from broker.policy.compile import compile_document
from broker.policy.context import Context
from broker.policy.document import PolicyKind, parse_policy
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate
from broker.policy.reader import MAX_CHARACTERS

USER = Principal(PrincipalKind.USER, "111122223333", "arn:aws:iam::111122223333:user/bob", "AIDAEXAMPLEEXAMPLE01")
ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
HEAD = '{"Version": "2012-10-17",\n"Statement": {"Effect": "Deny", "Resource": "*",\n'
VALUES = ",\n".join(f'"{number}"' for number in range(10_000))


def of_length(length):
    """A good policy of exactly so many characters."""
    text = json.dumps({"Version": "2012-10-17", "Statement": [ALLOW]})
    return text[:-1] + " " * (length - len(text)) + text[-1]


REFUSED = {
    "128-kib-and-one": (of_length(MAX_CHARACTERS + 1), (1, 1)),
    "megabytes": ("[" * 5_000_000, (1, 1)),
    "fault-at-the-end-of-128-kib": (of_length(MAX_CHARACTERS - 1) + "}", (1, MAX_CHARACTERS)),
    "nested-in-a-condition": (HEAD + '"Action": "*", "Condition": {"Bool": {"a:b": ' + "[" * 9, (3, 52)),
    "nested-after-60,000-lines": ("\n" * 60_000 + '{"a":' * 11, (60_001, 51)),
    "number-of-65-digits": (
        HEAD + '"Action": "*", "Condition": {"NumericEquals": {"a:b": ' + "9" * 65 + "}}}}",
        (3, 55),
    ),
    "number-with-an-endless-exponent": (
        HEAD + '"Action": "*", "Condition": {"NumericEquals": {"a:b": 1e999999999}}}}',
        (3, 55),
    ),
    "the-last-of-10,001-values": (
        HEAD + '"Action": "*", "Condition": {"NumericEquals": {"a:b": [\n' + VALUES + ',\n"x"]}}}}',
        (10_004, 1),
    ),
    "ten-thousand-keys-and-one-again": (
        HEAD
        + '"Action": "*", "Condition": {"Bool": {\n'
        + ",\n".join(f'"a:{n}": true' for n in [*range(5_000), 7])
        + "}}}}",
        (5_004, 1),
    ),
    "wildcard-bomb-as-service": (HEAD + f'"Action":\n"{"*a" * 4_000}"}}}}', (4, 1)),
    "wildcard-bomb-as-partition": (
        f'{{"Statement": {{"Effect": "Deny", "Action": "*", "Resource":\n"{"*a" * 4_000}"}}}}',
        (2, 1),
    ),
    "wildcard-bomb-as-principal": (HEAD + f'"Action": "*",\n"Principal": "{"*a" * 4_000}"}}}}', (4, 14)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_document_is_refused_at_its_place(name):
    text, (line, column) = REFUSED[name]
    started = time.process_time()
    with pytest.raises(MalformedPolicy) as refusal:
        parse_policy(text, PolicyKind.IDENTITY)
    assert time.process_time() - started < 2.5
    found = re.search(r" at line (\d+), column (\d+)$", refusal.value.message)
    assert found, refusal.value.message
    assert (int(found[1]), int(found[2])) == (line, column), refusal.value.message
    assert len(refusal.value.message) < 300


def test_a_document_of_128_kib_is_read():
    assert len(parse_policy(of_length(MAX_CHARACTERS), PolicyKind.IDENTITY).statements) == 1


def deny(operator, value, count=1):
    condition = {operator: {"k:v": value}}
    return [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}] * count


def decide(statements, context):
    text = json.dumps({"Version": "2012-10-17", "Statement": [ALLOW, *statements]})
    policy = compile_document(parse_policy(text, PolicyKind.IDENTITY))
    request = AccessRequest(USER, "s3:GetObject", "arn:aws:s3:::b/k", "111122223333", context)
    times = []
    for _ in range(3):
        started = time.process_time()
        decision = evaluate(request, PolicySet(identity=(PolicySource("hostile", policy),)))
        times.append(time.process_time() - started)
    return decision, min(times)


MANY = tuple(f"{number:04}" for number in range(10_000))
COSTLY = {
    "texts": (deny("StringLike", "*0?b", 90), MANY),
    "all-texts": (deny("ForAllValues:StringLike", "*0*b", 90), MANY),
    "any-text": (deny("ForAnyValue:StringEquals", "${k:v}", 90), MANY),
    "numbers-of-50-digits": (deny("NumericLessThan", "-1"), tuple("9" * 46 + number for number in MANY)),
    "dates": (deny("DateLessThan", "-1"), tuple(f"2026-11-24T00:00:00.{number}Z" for number in MANY)),
    "addresses": (deny("IpAddress", "11.0.0.0/8"), tuple(f"10.0.{n // 256}.{n % 256}" for n in range(10_000))),
    "long-texts": (deny("StringLike", [f"*aa{n}*" for n in range(900)]), ("a" * 2_048,) * 10),
    "one-long-text-in-many-statements": (deny("StringLike", [f"*aa{n}*" for n in range(900)], 8), ("a" * 2_048,)),
}


@pytest.mark.parametrize("name", COSTLY)
def test_a_decision_that_would_cost_too_much_denies_early(name):
    """The product's bar is 10 ms; the test allows for a machine that is busy with other tests."""
    statements, values = COSTLY[name]
    decision, seconds = decide(statements, {"k:v": values})
    assert not decision.allowed
    assert not decision.explicit_deny
    assert decision.error is not None
    assert decision.error.startswith("TooCostlyError")
    assert seconds < 0.050


def test_each_decision_has_its_own_budget_also_with_a_shared_context():
    context = Context({"k:v": MANY[:1_000]})
    for _ in range(5):
        decision, _ = decide(deny("StringLike", "*x?b", 15), context)
        assert decision.allowed, decision.error
    assert decide(deny("StringLike", "*x?b", 25), context)[0].error
