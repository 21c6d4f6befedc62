"""Why an element of a statement does not match, said as the kind of difference that it is.

Only for reading: whether an element matches is decided by the evaluator's own closures alone (``trace.py``).
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from broker.domain.principal import Principal, PrincipalKind
from broker.policy import principals
from broker.policy.closeness import closeness, nearest_first
from broker.policy.conditions import NULL, OPERATORS, Condition, Quantifier, check_value, compile_condition
from broker.policy.evaluate import AccessRequest
from broker.policy.match import literal, matches, tokens
from broker.policy.miss import Failure, MissKind
from broker.policy.trace import ConditionTrace, StatementTrace
from broker.policy.variables import parse_template, resolve

Folded = dict[str, tuple[str, ...]]
"""The request's condition keys in lower case, with their values."""

# Conditions of one statement that are looked at, values of a key, and keys of a request that may resemble another.
MAX_CONDITIONS = 4
_VALUES = 16
_KEYS = 256
# Keys that are as close as this may have been confused.
_RESEMBLING = 0.7

_UNIQUE_ID = re.compile(r"A(?:ID|RO)A[A-Z0-9]+")
_RELATIONS = {
    "DateLessThanEquals": "at or before",
    "DateGreaterThanEquals": "at or after",
    "DateLessThan": "before",
    "DateGreaterThan": "after",
    "LessThanEquals": "at most",
    "GreaterThanEquals": "at least",
    "LessThan": "less than",
    "GreaterThan": "more than",
    "IpAddress": "an address in",
}


def failures(trace: StatementTrace, request: AccessRequest, context: Folded) -> tuple[Failure, ...]:
    """What does not match: principal, action and resource, and the first four of the conditions."""
    found = []
    if trace.principal is False:
        found.append(principal_failure(trace, request.principal))
    if not trace.action:
        found.append(_action_failure(trace, request.action))
    if not trace.resource:
        found.append(_resource_failure(trace, request.resource))
    failed = (condition for condition in trace.conditions if not condition.held)
    for condition in islice(failed, MAX_CONDITIONS):
        found.append(condition_failure(condition, context, variables=trace.document.variables))
    return tuple(found)


def _action_failure(trace: StatementTrace, action: str) -> Failure:
    wanted = nearest_first(action, trace.statement.actions)
    if trace.statement.not_action:
        return Failure(MissKind.ACTION, "action", (action,), wanted, relation="everything but")
    return Failure(MissKind.ACTION, "action", (action,), wanted, closeness(action, wanted[0]))


def _resource_failure(trace: StatementTrace, resource: str) -> Failure:
    wanted = nearest_first(resource, trace.statement.resources)
    if trace.statement.not_resource:
        return Failure(MissKind.RESOURCE, "resource", (resource,), wanted, relation="everything but")
    same = "${" not in wanted[0] and matches(tokens(wanted[0].lower()), resource.lower())
    kind = MissKind.RESOURCE_CASE if same else MissKind.RESOURCE
    return Failure(kind, "resource", (resource,), wanted, 1.0 if same else closeness(resource, wanted[0]))


def principal_failure(trace: StatementTrace, requester: Principal) -> Failure:
    """Who is named instead, and what the two have in common."""
    named = trace.statement.principals
    assert named is not None
    if trace.statement.not_principal:
        listed = [*sorted(named.names), *sorted(named.accounts), *sorted(named.providers), *["*"] * named.everybody]
        return Failure(MissKind.PRINCIPAL, "principal", (requester.arn,), tuple(listed), relation="everybody but")
    others = (*sorted(named.services), *sorted(named.canonical_users))
    aws = (*sorted(named.names), *sorted(named.accounts), *["*"] * named.everybody)
    providers = tuple(sorted(named.providers))
    wanted, foreign = (providers, aws) if principals.is_external(requester) else (aws, providers)
    if requester.kind is PrincipalKind.ANONYMOUS or not wanted:
        actual = requester.arn or "anonymous"
        return Failure(MissKind.PRINCIPAL_KIND, "principal", (actual,), wanted or foreign or others)
    pairs = [(own, nearest_first(own, wanted)) for own in (requester.arn, requester.role_arn) if own is not None]
    own, listed_first = max(pairs, key=lambda pair: closeness(pair[0], pair[1][0]))
    kind, actual = _principal_kind(requester, own, listed_first[0])
    return Failure(kind, "principal", (actual,), listed_first, closeness(own, listed_first[0]))


def _principal_kind(requester: Principal, own: str, named: str) -> tuple[MissKind, str]:
    """The kind of difference between the nearest name and the requester, and which of the requester's names it is."""
    if own.lower() == named.lower():
        return MissKind.PRINCIPAL_CASE, own
    if _UNIQUE_ID.fullmatch(named):
        return MissKind.PRINCIPAL_ID, requester.role_id or requester.unique_id
    if named.isdigit():
        return MissKind.PRINCIPAL_ACCOUNT, requester.account
    left, right = own.split(":", 5), named.split(":", 5)
    if len(left) == len(right) == 6:
        if left[5] == right[5]:
            return MissKind.PRINCIPAL_ACCOUNT, own
        if left[4] == right[4]:
            ours, theirs = left[5].split("/"), right[5].split("/")
            if ours[0] == "assumed-role" and ours[:2] == theirs[:2]:
                return MissKind.PRINCIPAL_SESSION, own
            if ours[0] == theirs[0] in ("role", "user") and ours[-1] == theirs[-1]:
                return MissKind.PRINCIPAL_PATH, own
    return MissKind.PRINCIPAL_PROVIDER if principals.is_external(requester) else MissKind.PRINCIPAL, own


def condition_failure(trace: ConditionTrace, context: Folded, *, variables: bool) -> Failure:
    """What the request has under the condition's key, and the nearest of what the condition wants."""
    condition = trace.condition
    given = trace.actual or ()
    quantified = condition.quantifier is not Quantifier.NONE
    if trace.held is None:
        return Failure(MissKind.NOT_COMPARED, condition.key, given[:_VALUES], condition.values)
    if condition.operator == NULL:
        kind = MissKind.KEY_PRESENT if given and given != ("",) else MissKind.KEY_MISSING
        return Failure(kind, condition.key, given[:_VALUES], (), 0.6)
    if not given or (quantified and given == ("",)):
        hint = _resembling(condition.key.lower(), context)
        relation = "anything but" if OPERATORS[condition.operator].negated else relation_of(condition.operator)
        return Failure(MissKind.KEY_MISSING, condition.key, (), condition.values, 0.5, relation, hint)
    offenders = _offenders(trace, given, context)
    if any(_unreadable(condition.operator, value) for value in offenders):
        relation, hint = relation_of(condition.operator), condition.written
        return Failure(MissKind.UNREADABLE, condition.key, offenders, condition.values, 0.4, relation, hint)
    if OPERATORS[condition.operator].negated:
        return Failure(MissKind.CONDITION_EXCLUDES, condition.key, offenders, condition.values, 0.5)
    if relation := relation_of(condition.operator):
        return Failure(MissKind.OUT_OF_RANGE, condition.key, offenders, condition.values, 0.6, relation)
    return _text_failure(trace, offenders, context, variables=variables)


def _text_failure(trace: ConditionTrace, offenders: tuple[str, ...], context: Folded, *, variables: bool) -> Failure:
    """A value that equals no wanted one: by case alone, or altogether."""
    condition = trace.condition
    pairs = [(value, nearest_first(value, condition.values)) for value in offenders[:MAX_CONDITIONS]]
    actual, wanted = max(pairs, key=lambda pair: closeness(pair[0], pair[1][0]))
    first = (actual, *(value for value in offenders if value != actual))
    if condition.operator.startswith(("String", "Arn")):
        lowered = replace(condition, values=(wanted[0].lower(),), quantifier=Quantifier.NONE)
        if _would_hold(lowered, actual.lower(), context, variables):
            return Failure(MissKind.CONDITION_CASE, condition.key, first, wanted, 1.0)
    if condition.operator == "StringEquals" and not {"*", "?"}.isdisjoint(wanted[0]):
        like = replace(condition, operator="StringLike", values=wanted[:1], quantifier=Quantifier.NONE)
        if _would_hold(like, actual, context, variables):
            kind, hint = MissKind.WILDCARD_LITERAL, condition.written
            return Failure(kind, condition.key, first, wanted, 1.0, hint=hint)
    only = "only" if condition.quantifier is Quantifier.ALL else ""
    resolved = _resolved(wanted[0], context) if variables else None
    near = closeness(actual, wanted[0] if resolved is None else resolved)
    return Failure(MissKind.CONDITION_VALUE, condition.key, first, wanted, near, only, resolved)


def _resolved(value: str, context: Folded) -> str | None:
    """What a policy value with variables stands for in this request; empty if one of them has no value."""
    if "${" not in value:
        return None
    pattern = resolve(parse_template(value, variables=True, wildcards=False), context)
    return "" if pattern is None else literal(pattern)


def _would_hold(condition: Condition, value: str, context: Folded, variables: bool) -> bool:
    """Whether a condition that is not the policy's own would hold for one value."""
    check = compile_condition(condition, variables=variables, deny=False)
    return check(ChainMap({condition.key.lower(): (value,)}, context))


def _offenders(trace: ConditionTrace, given: tuple[str, ...], context: Folded) -> tuple[str, ...]:
    """The values that do not hold on their own, or all of them."""
    key = trace.condition.key.lower()
    few = given[:_VALUES]
    return tuple(value for value in few if not trace.check(ChainMap({key: (value,)}, context))) or few


def _unreadable(operator: str, value: str) -> bool:
    if operator.startswith(("String", "Arn")):
        return False
    try:
        check_value(operator, value, variables=False)
    except ValueError:
        return True
    return False


def relation_of(operator: str) -> str:
    """How a value should compare with the wanted one, in words, where the operator's test is no equality."""
    return next((words for ending, words in _RELATIONS.items() if operator.endswith(ending)), "")


def _resembling(key: str, context: Folded) -> str | None:
    """The key of the request that ends in the same word after another prefix, or is nearly the same."""
    keys: Sequence[str] = list(islice(context, _KEYS))
    if not keys:
        return None
    last = key.rpartition(":")[2]
    same = [other for other in keys if other.rpartition(":")[2] == last]
    best = nearest_first(key, same or keys)[0]
    return best if same or closeness(last, best.rpartition(":")[2]) > _RESEMBLING else None
