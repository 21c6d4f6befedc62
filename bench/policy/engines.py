"""The broker, cedarpy and pycasbin with the same policies: each gets its requests in its own form before the clock.

Cedar has no wildcards for actions, so action and resource are texts of the context, matched by ``like`` as AWS matches
them. Casbin brings the effect and the loop; matching is given to it as functions (compiled expressions, prepared
conditions). Where boundary and session policy limit, each layer is a policy set of its own and all are asked.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.policy.workload import TEAM, TEAM_KEYS, Statement, Workload, documents
from broker.policy.compile import compile_document
from broker.policy.document import PolicyKind, parse_policy
from broker.policy.evaluate import AccessRequest, Decision, PolicySet, PolicySource, evaluate

Context = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Engine:
    """``decide`` takes a request in the engine's form and answers; ``allows`` reads the answer."""

    name: str
    decide: Callable[[Any], Any]
    requests: tuple[Any, ...]
    allows: Callable[[Any], bool]


def broker(workload: Workload) -> Engine:
    """``broker.policy.evaluate`` itself."""
    policies = policy_set(workload.identity, workload.boundary, workload.session)
    return Engine("broker", partial(evaluate, policies=policies), workload.requests, _allowed)


def _allowed(decision: Decision) -> bool:
    return decision.allowed


def policy_set(
    identity: Sequence[Statement],
    boundary: Sequence[Statement] | None = None,
    session: Sequence[Statement] | None = None,
) -> PolicySet:
    """The statements, compiled. A boundary is one document."""
    limits = _sources(boundary, PolicyKind.BOUNDARY) if boundary else (None,)
    if len(limits) != 1:
        raise ValueError("the boundary is too long for one document")
    return PolicySet(
        identity=_sources(identity, PolicyKind.IDENTITY),
        boundary=limits[0],
        session=_sources(session, PolicyKind.SESSION) if session else None,
    )


def _sources(statements: Sequence[Statement], kind: PolicyKind) -> tuple[PolicySource, ...]:
    texts = enumerate(documents(statements))
    return tuple(PolicySource(f"{kind}-{i}", compile_document(parse_policy(text, kind))) for i, text in texts)


def cedar(workload: Workload) -> Engine:
    """cedarpy, its policy sets parsed once. Raises ImportError if it is not installed."""
    import cedarpy

    sets = [cedarpy.PolicySet.from_str("\n".join(map(cedar_policy, layer))) for layer in workload.layers]
    nothing = cedarpy.Entities.from_json_str("[]")

    def decide(request: dict[str, Any]) -> bool:
        return all(cedarpy.is_authorized(request, policies, nothing).allowed for policies in sets)

    return Engine("cedarpy", decide, tuple(map(_cedar_request, workload.requests)), bool)


def cedar_policy(statement: Statement) -> str:
    """One statement in Cedar's language."""
    terms = [_cedar_element(statement, "Action", "action"), _cedar_element(statement, "Resource", "resource")]
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            terms.append(f"({_CEDAR_OPERATORS[operator](f'context.{_CEDAR_KEYS[key]}', values)})")
    effect = "forbid" if statement["Effect"] == "Deny" else "permit"
    return f"{effect}(principal, action, resource) when {{ {' && '.join(terms)} }};"


def _cedar_element(statement: Statement, name: str, field: str) -> str:
    if name in statement:
        return f"({_cedar_like(f'context.{field}', statement[name])})"
    return f"!({_cedar_like(f'context.{field}', statement[f'Not{name}'])})"


def _cedar_like(field: str, patterns: Sequence[str]) -> str:
    return " || ".join(f"{field} like {json.dumps(pattern)}" for pattern in patterns)


_CEDAR_KEYS = {
    TEAM: "team",
    TEAM_KEYS: "keys",
    "aws:userid": "userid",
    "aws:SecureTransport": "tls",
    "aws:MultiFactorAuthAge": "age",
    "aws:SourceIp": "ip",
}
_CEDAR_OPERATORS: dict[str, Callable[[str, Sequence[str]], str]] = {
    "StringEquals": lambda field, values: f"{json.dumps(values)}.contains({field})",
    "ForAnyValue:StringEquals": lambda field, values: f"{field}.containsAny({json.dumps(values)})",
    "StringLike": _cedar_like,
    "Bool": lambda field, values: f"{field} == {values[0]}",
    "NumericLessThan": lambda field, values: f"{field} < {values[0]}",
    "IpAddress": lambda field, values: f'{field}.isInRange(ip("{values[0]}"))',
}


def _cedar_request(request: AccessRequest) -> dict[str, Any]:
    given = request.context
    context: dict[str, Any] = {
        "action": request.action,
        "resource": request.resource,
        "team": given[TEAM][0],
        "userid": given["aws:userid"][0],
        "tls": given["aws:SecureTransport"][0] == "true",
        "age": int(given["aws:MultiFactorAuthAge"][0]),
        "ip": {"__extn": {"fn": "ip", "arg": given["aws:SourceIp"][0]}},
    }
    if TEAM_KEYS in given:
        context["keys"] = list(given[TEAM_KEYS])
    return {"principal": 'User::"u"', "action": 'Action::"a"', "resource": 'Resource::"r"', "context": context}


_CASBIN_MODEL = """
[request_definition]
r = action, resource, context
[policy_definition]
p = statement, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = applies(p.statement, r.action, r.resource, r.context)
"""


def casbin(workload: Workload) -> Engine:
    """pycasbin with one matching function, prepared for each statement. Raises ImportError if it is not installed."""
    import casbin

    logging.getLogger("casbin").setLevel(logging.ERROR)
    enforcers = []
    for layer in workload.layers:
        model = casbin.Model()
        model.load_model_from_text(_CASBIN_MODEL)
        enforcer = casbin.Enforcer(model)
        prepared = {str(number): _casbin_statement(statement) for number, statement in enumerate(layer)}
        enforcer.add_function("applies", _caller(prepared))
        enforcer.add_policies([[number, layer[int(number)]["Effect"].lower()] for number in prepared])
        enforcers.append(enforcer)

    def decide(request: tuple[str, str, Context]) -> bool:
        return all(enforcer.enforce(*request) for enforcer in enforcers)

    requests = tuple((request.action, request.resource, request.context) for request in workload.requests)
    return Engine("pycasbin", decide, requests, bool)


Applies = Callable[[str, str, Context], bool]


def _caller(prepared: Mapping[str, Applies]) -> Callable[[str, str, str, Context], bool]:
    return lambda number, action, resource, context: prepared[number](action, resource, context)


def _casbin_statement(statement: Statement) -> Applies:
    actions, act = _expression(statement, "Action", re.IGNORECASE), "Action" in statement
    resources, on = _expression(statement, "Resource", 0), "Resource" in statement
    conditions = [
        (key, _CASBIN_OPERATORS[operator](values))
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    ]

    def applies(action: str, resource: str, context: Context) -> bool:
        if (actions.fullmatch(action) is not None) is not act or (resources.fullmatch(resource) is not None) is not on:
            return False
        return all(any(map(test, context[key])) for key, test in conditions)

    return applies


def _expression(statement: Statement, name: str, flags: int) -> re.Pattern[str]:
    patterns = statement.get(name) or statement[f"Not{name}"]
    return re.compile("|".join(".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns), flags)


def _number_below(values: Sequence[str]) -> Callable[[str], bool]:
    limit = float(values[0])
    return lambda value: float(value) < limit


def _in_network(values: Sequence[str]) -> Callable[[str], bool]:
    network = ipaddress.ip_network(values[0])
    return lambda value: ipaddress.ip_address(value) in network


def _like(values: Sequence[str]) -> Callable[[str], bool]:
    expression = _expression({"Like": values}, "Like", 0)
    return lambda value: expression.fullmatch(value) is not None


_CASBIN_OPERATORS: dict[str, Callable[[Sequence[str]], Callable[[str], bool]]] = {
    "StringEquals": lambda values: frozenset(values).__contains__,
    "ForAnyValue:StringEquals": lambda values: frozenset(values).__contains__,
    "StringLike": _like,
    "Bool": lambda values: lambda value: value.lower() == values[0],
    "NumericLessThan": _number_below,
    "IpAddress": _in_network,
}
