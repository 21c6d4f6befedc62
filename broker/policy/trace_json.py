"""A trace as JSON of bounded size.

The outer keys are those of the message that AWS's DecodeAuthorizationMessage decodes (AWS STS API Reference); ours are
``reason``, ``nearestMiss``, ``trace`` and ``truncated``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice

from broker.policy.decision import Decision
from broker.policy.document import Statement
from broker.policy.evaluate import AccessRequest
from broker.policy.miss import Failure, Miss, cut, plain
from broker.policy.trace import ConditionTrace, PolicyTrace, StatementTrace
from broker.policy.variables import Values

LIMIT_BYTES = 7_000
"""What still fits, encrypted and in base64, into the 10,240 characters of an encoded message."""

# Length of values and number of list entries, tried in turn until the deciding part fits.
_SIZES = ((256, 16), (100, 8), (48, 3), (16, 1), (8, 0))
# A sentence may be this many times as long as a value.
_SENTENCE = 4

Json = dict[str, object]
Scope = tuple[PolicyTrace, StatementTrace]


def render(
    request: AccessRequest,
    context: Values,
    decision: Decision,
    policies: tuple[PolicyTrace, ...],
    miss: Miss | None,
    limit_bytes: int,
) -> Json:
    """The whole message; see ``Trace.as_json``."""
    scope = [(policy, trace) for policy in policies for trace in policy.statements]
    deciding = _deciding(scope, decision, miss)
    writer = _Writer(*_SIZES[0])
    for size in _SIZES:
        writer = _Writer(*size)
        message = writer.message(request, decision, miss, deciding)
        if _size(message) <= limit_bytes:
            break
    chosen = {id(trace) for _, trace in deciding}
    others = sorted((pair for pair in scope if id(pair[1]) not in chosen), key=lambda pair: pair[1].failing)
    room = limit_bytes - _size(message) - len("false") + len("true")
    for target, entry in writer.rest(context, deciding, others):
        room -= _size(entry) + 1
        if room < 0:
            return message
        _list_at(message, target).append(entry)
    return {**message, "truncated": False}


def _deciding(scope: list[Scope], decision: Decision, miss: Miss | None) -> list[Scope]:
    """The statement that decided and the one that came nearest."""
    near = [(decision.source, decision.statement)]
    if miss is not None and miss.statement is not None and miss.statement.statement is not decision.statement:
        near.append((miss.source, miss.statement.statement))
    found: list[Scope] = []
    for source, statement in near:
        of = (pair for pair in scope if pair[1].statement is statement and pair[0].source == source)
        found.extend(islice(of, 1))
    return found


def _size(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":")))


def _list_at(message: Json, path: tuple[str, ...]) -> list[object]:
    at: object = message
    for name in path:
        assert isinstance(at, dict)
        at = at[name]
    assert isinstance(at, list)
    return at


_MATCHED = ("matchedStatements", "items")
_CONDITIONS = ("context", "conditions", "items")
_TRACE = ("trace",)


class _Writer:
    """Writes values cut to ``length`` characters and lists to ``entries`` entries."""

    def __init__(self, length: int, entries: int) -> None:
        self.length = length
        self.entries = entries

    def text(self, value: str) -> str:
        return cut(plain(value[: self.length + 1]), self.length)

    def texts(self, values: Iterable[str]) -> list[str]:
        return [self.text(value) for value in islice(values, self.entries)]

    def items(self, values: Iterable[str]) -> Json:
        """AWS's form of a list."""
        return {"items": [{"value": value} for value in self.texts(values)]}

    def message(self, request: AccessRequest, decision: Decision, miss: Miss | None, deciding: list[Scope]) -> Json:
        """What is always there. ``truncated`` holds until everything else found room."""
        principal = request.principal
        failed = [] if decision.error is None else [{"message": self.text(decision.error)}]
        who = {"id": principal.unique_id, "name": principal.user_name or "", "arn": principal.arn}
        return {
            "allowed": decision.allowed,
            "explicitDeny": decision.explicit_deny,
            "matchedStatements": {"items": [self.matched(trace) for _, trace in deciding if trace.applies]},
            "failures": {"items": failed},
            "context": {
                "principal": {name: self.text(value) for name, value in who.items()},
                "action": self.text(request.action),
                "resource": self.text(request.resource),
                "conditions": {"items": []},
            },
            "reason": self.text(decision.sentence()),
            "nearestMiss": None if miss is None else self.miss(miss),
            "trace": [self.statement(*pair) for pair in deciding],
            "truncated": True,
        }

    def rest(
        self, context: Values, deciding: list[Scope], others: list[Scope]
    ) -> Iterator[tuple[tuple[str, ...], Json]]:
        """What follows as long as there is room: keys that the deciding part asks for, statements, other keys."""
        mentioned = {one.condition.key.lower() for _, trace in deciding for one in trace.conditions}
        yield from ((_CONDITIONS, self.key(key, context[key])) for key in context if key in mentioned)
        for policy, trace in others:
            yield _TRACE, self.statement(policy, trace)
            if trace.applies:
                yield _MATCHED, self.matched(trace)
        yield from ((_CONDITIONS, self.key(key, context[key])) for key in context if key not in mentioned)

    def key(self, key: str, values: Iterable[str]) -> Json:
        return {"key": self.text(key), "values": self.items(values)}

    def matched(self, trace: StatementTrace) -> Json:
        """A statement that applies, in AWS's form."""
        statement = trace.statement
        conditions = islice(statement.conditions, self.entries)
        return {
            "statementId": self.text(statement.sid or ""),
            "effect": statement.effect.value.upper(),
            "principals": self.items(_names(statement)),
            "actions": self.items(statement.actions),
            "resources": self.items(statement.resources),
            "conditions": {"items": [self.key(one.key, one.values) for one in conditions]},
        }

    def statement(self, policy: PolicyTrace, trace: StatementTrace) -> Json:
        line, column = trace.place
        return {
            "policyType": policy.type.noun,
            "policy": self.text(policy.source),
            "statementId": self.text(trace.statement.sid or ""),
            "index": trace.statement.index,
            "line": line,
            "column": column,
            "effect": trace.statement.effect.value,
            "applies": trace.applies,
            "principal": trace.principal,
            "action": trace.action,
            "resource": trace.resource,
            "conditions": [self.condition(one) for one in islice(trace.conditions, self.entries)],
        }

    def condition(self, trace: ConditionTrace) -> Json:
        return {
            "operator": trace.condition.written,
            "key": self.text(trace.condition.key),
            "expected": self.texts(trace.condition.values),
            "actual": None if trace.actual is None else self.texts(trace.actual),
            "held": trace.held,
        }

    def miss(self, miss: Miss) -> Json:
        place = miss.statement.place if miss.statement else (None, None)
        return {
            "kind": miss.kind.value,
            "sentence": cut(miss.sentence(), _SENTENCE * self.length),
            "policyType": miss.policy_type.noun,
            "policy": None if miss.source is None else self.text(miss.source),
            "index": miss.statement.statement.index if miss.statement else None,
            "line": place[0],
            "column": place[1],
            "differences": [self.failure(one) for one in islice(miss.failures, self.entries)],
            "sufficient": miss.sufficient,
        }

    def failure(self, failure: Failure) -> Json:
        return {
            "kind": failure.kind.value,
            "element": self.text(failure.element),
            "actual": self.texts(failure.actual),
            "wanted": self.texts(failure.wanted),
        }


def _names(statement: Statement) -> list[str]:
    named = statement.principals
    if named is None:
        return []
    listed = (named.accounts, named.names, named.providers, named.services, named.canonical_users)
    return [*["*"] * named.everybody, *(name for names in listed for name in sorted(names))]
