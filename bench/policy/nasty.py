"""The nastiest policies that the size quotas let in, each with the request that costs it most.

IAM User Guide, "IAM and AWS STS quotas": 10,240 characters for a role's inline policies, 6,144 for each of ten managed
policies and for the boundary, and 2,048 for all session policies together. Everything denies, because the denies of all
policies are looked at, and nothing matches, so that no early answer ends the work. A text of the request has 2,048
characters, or there are 10,000 of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.policy.workload import ACCOUNT, SESSION, Statement
from broker.policy import values
from broker.policy.compile import compile_document
from broker.policy.context import Context
from broker.policy.document import PolicyKind, parse_policy, policy_size
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate

INLINE, MANAGED, PASSED = 10_240, 6_144, 2_048
_ATTACHED = 10
_TEXT = "b" + "a" * 2_047
_RUNS = 7

Make = Callable[[int], list[Statement]]
"""Statements (or one statement with as many values) that get longer with the number."""


@dataclass(frozen=True, slots=True)
class Nasty:
    """``key`` are the values of the condition key that the policy asks for."""

    name: str
    make: Make
    key: tuple[str, ...] = (_TEXT,)

    def fitting(self, quota: int) -> str:
        """The largest policy of its sort within so many characters."""
        low, high = 1, quota
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if policy_size(_text(self.make(middle))) <= quota else (low, middle - 1)
        return _text(self.make(low))


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of processor time for one decision: one document of 10,240 characters, and all that a role has."""

    name: str
    document_ms: float
    everything_ms: float


def costs() -> Iterator[Cost]:
    """The cost of each nasty policy; the least of a few runs, for what disturbs can only add."""
    for nasty in NASTY:
        alone = (_source(nasty, PolicyKind.IDENTITY, INLINE),)
        yield Cost(nasty.name, _cost(nasty, PolicySet(identity=alone)), _cost(nasty, _everything(nasty)))


def _everything(nasty: Nasty) -> PolicySet:
    """Every policy that a role session may have, each full of denies: those of all policies are walked first."""
    managed = _source(nasty, PolicyKind.IDENTITY, MANAGED)
    return PolicySet(
        identity=(_source(nasty, PolicyKind.IDENTITY, INLINE), *[managed] * _ATTACHED),
        boundary=_source(nasty, PolicyKind.BOUNDARY, MANAGED),
        session=(_source(nasty, PolicyKind.SESSION, PASSED),),
    )


def _cost(nasty: Nasty, policies: PolicySet) -> float:
    context = Context({"k:v": nasty.key, "k:t": ("a" * 256,), "k:n": ("1",), **_TAGS})
    request = AccessRequest(SESSION, "s3:GetObject", f"arn:aws:s3:::{_TEXT}", ACCOUNT, context)
    times = []
    for _ in range(_RUNS):
        _read_other_values()
        started = time.process_time()
        decision = evaluate(request, policies)
        times.append(time.process_time() - started)
        if decision.allowed or decision.explicit_deny:
            raise SystemExit(f"{nasty.name}: a statement applies, so that the rest was not looked at")
    return min(times) * 1_000


def _read_other_values() -> None:
    """What was read before is forgotten: the values of a request are new."""
    for number in range(5_000):
        values.number(f"1{number}")
        values.moment(f"1{number}")
        values.network(f"2001:db8::{number:x}")


def _source(nasty: Nasty, kind: PolicyKind, quota: int) -> PolicySource:
    return PolicySource(nasty.name, compile_document(parse_policy(nasty.fitting(quota), kind)))


def _text(statements: list[Statement]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


def _statement(resource: str = "*", **condition: object) -> Statement:
    return {"Effect": "Deny", "Action": "*", "Resource": resource, "Condition": condition}


def _resource(pattern: str) -> Make:
    """One long resource that fails at its last character."""
    return lambda size: [_statement(f"arn:aws:s3:::{pattern * size}b*")]


def _statements(statement: Statement) -> Make:
    return lambda size: [statement] * size


def _values(operator: str, value: str) -> Make:
    """One condition with many values; ``#`` is the value's number (1 to 31 as the length of a prefix)."""

    def make(size: int) -> list[Statement]:
        numbers = [1 + number % 31 if "/" in value else number for number in range(1, size + 1)]
        return [_statement(**{operator: {"k:v": [value.replace("#", str(number)) for number in numbers]}})]

    return make


def _conditions(size: int) -> list[Statement]:
    """Conditions on 50 tags that all hold, and a last one that does not."""
    operators = [f"{prefix}StringLike{suffix}" for prefix in ("", "ForAllValues:") for suffix in ("", "IfExists")]
    pairs = [(operator, key) for operator in operators for key in _TAGS][:size]
    held: dict[str, dict[str, str]] = {}
    for operator, key in pairs:
        held.setdefault(operator, {})[key] = "*?a*"
    return [_statement(**held, NumericEquals={"k:n": "-1"})] * max(1, size // len(operators) // len(_TAGS))


_TAGS = {f"t:{number}": (f"{number}{'a' * 250}",) for number in range(50)}
_MANY = tuple(f"{number:04}" for number in range(10_000))
_BIG_NUMBERS = tuple(f"{'9' * 45}{number:05}" for number in range(10_000))
_DATES = tuple(f"2026-11-24T12:34:56.{number:09}+01:00" for number in range(10_000))
_ARNS = tuple(f"arn:aws:s3:::{number}" for number in range(10_000))
_ADDRESSES = tuple(f"10.0.{number // 256}.{number % 256}" for number in range(10_000))

_LONG_TEXTS = tuple(f"{_TEXT[:-1]}{letter}" for letter in "abcdefghij")
_ARN = (f"arn:aws:s3:::{_TEXT}",)

NASTY = (
    Nasty("stars *a*a*a…", lambda size: _resource("*a")(min(size, 2_000))),
    Nasty("stars *?a*?a…", lambda size: _resource("*?a")(min(size, 1_000))),
    Nasty("question marks ????…", lambda size: _resource("?")(min(size, 2_000))),
    Nasty("a long piece *aaaa…b*", lambda size: [_statement(f"arn:aws:s3:::*{'a' * size}b*")]),
    Nasty("statements *a*a*a*b*", _statements(_statement("arn:aws:s3:::*a*a*a*ab*"))),
    Nasty("statements *?a*?a*?b*", _statements(_statement("arn:aws:s3:::*?a*?a*?ab*"))),
    Nasty("statements *${k:t}?*", _statements(_statement("arn:aws:s3:::*${k:t}?*ab*"))),
    Nasty("values *#*", _values("StringLike", "*#*")),
    Nasty("values *aa#*", _values("StringLike", "*aa#*")),
    Nasty("values *a?#*", _values("StringLike", "*a?#*")),
    Nasty("values *a?*b", _values("StringLike", "*a?*ab*")),
    Nasty("values *${k:t}?#", _values("StringLike", "*${k:t}?#*")),
    Nasty("values ${k:t}#", lambda size: _values("StringEqualsIgnoreCase", "${k:t}#")(min(size, 700))),
    Nasty("ARNs *a?#", _values("ArnLike", "arn:*:*:*:*:*a?#*"), _ARN),
    Nasty("ARNs *${k:t}?#", _values("ArnLike", "arn:*:*:*:*:*${k:t}?#*"), _ARN),
    Nasty("numbers", _values("NumericEquals", "#"), ("-1",)),
    Nasty("dates", _values("DateEquals", "#"), ("2026-11-24T00:00:00.000000001Z",)),
    Nasty("networks", _values("IpAddress", "10.0.0.0/#"), ("200.0.0.1",)),
    Nasty("conditions on 50 tags", _conditions),
    Nasty("10 long texts, *aa#*", lambda size: _values("StringLike", "*aa#*")(min(size, 145)), _LONG_TEXTS),
    Nasty("10,000 texts, *0?b", _statements(_statement(StringLike={"k:v": "*0?b"})), _MANY),
    Nasty("10,000 texts, all *0*", _statements(_statement(**{"ForAllValues:StringLike": {"k:v": "*0*0*0"}})), _MANY),
    Nasty("10,000 texts, any *0?b", _statements(_statement(**{"ForAnyValue:StringLike": {"k:v": "*0?b"}})), _MANY),
    Nasty("10,000 texts, ${k:n}b", _statements(_statement(StringEquals={"k:v": "${k:n}b"})), _MANY),
    Nasty("1,000 texts, *0?b", _statements(_statement(StringLike={"k:v": "*0?b"})), _MANY[:1_000]),
    Nasty("5,900 numbers of 50 digits", _statements(_statement(NumericLessThan={"k:v": "-1"})), _BIG_NUMBERS[:5_900]),
    Nasty("1,750 dates", _statements(_statement(DateLessThan={"k:v": "-1"})), _DATES[:1_750]),
    Nasty("2,500 addresses", _statements(_statement(IpAddress={"k:v": "11.0.0.0/8"})), _ADDRESSES[:2_500]),
    Nasty("10,000 addresses", _statements(_statement(IpAddress={"k:v": "11.0.0.0/8"})), _ADDRESSES),
    Nasty("10,000 ARNs", _statements(_statement(ArnLike={"k:v": "arn:*:*:*:*:*0?b"})), _ARNS),
)
