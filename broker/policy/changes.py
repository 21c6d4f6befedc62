"""Values for a condition's key under which the condition would hold (or, under a Deny, no longer hold).

Guesses from the policy's own values, each tried on the condition's closure: what is returned is known to be right.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from itertools import islice

from msgspec import structs

from broker.policy import values as read
from broker.policy.closeness import nearest_first
from broker.policy.conditions import NULL, Quantifier, TooCostlyError
from broker.policy.evaluate import AccessRequest
from broker.policy.failures import Folded
from broker.policy.match import ANY, ONE
from broker.policy.trace import ConditionTrace
from broker.policy.variables import parse_template, resolve

# Policy values that are tried, and request values of which those that hold are kept.
_VALUES = 8
_KEPT = 64
# Stands for whatever a wildcard matches, and for a value that only has to be there.
_ANYTHING = "x"


def find_values(trace: ConditionTrace, context: Folded, *, variables: bool, want: bool) -> tuple[str, ...] | None:
    """Values for the key that make the condition answer ``want``; empty: the key is left out; None: no guess does."""
    key = trace.condition.key.lower()
    try:
        for values in _guesses(trace, context, variables):
            if trace.check(ChainMap({key: values}, context)) is want:
                return values
    except TooCostlyError:
        pass
    return None


def changed(request: AccessRequest, context: Folded, key: str, values: tuple[str, ...]) -> AccessRequest:
    """The request with other values under one key, or without it."""
    others = {name: given for name, given in context.items() if name != key.lower()}
    return structs.replace(request, context={**others, key: values} if values else others)


def _guesses(trace: ConditionTrace, context: Folded, variables: bool) -> Iterator[tuple[str, ...]]:
    condition = trace.condition
    given = trace.actual or ()
    if condition.operator == NULL:
        yield (_ANYTHING,)
    else:
        if len(given) > 1 and condition.quantifier is Quantifier.ALL:
            yield _those_that_hold(trace, given, context)
        for value in islice(nearest_first(given[0] if given else "", condition.values), _VALUES):
            yield from ((guess,) for guess in _near(condition.operator, value, context, variables))
    yield ()


def _those_that_hold(trace: ConditionTrace, given: tuple[str, ...], context: Folded) -> tuple[str, ...]:
    key = trace.condition.key.lower()
    return tuple(value for value in given[:_KEPT] if trace.check(ChainMap({key: (value,)}, context)))


def _near(operator: str, value: str, context: Folded, variables: bool) -> Iterator[str]:
    """Texts at, just below and just above a policy value, as the operator reads it."""
    if operator == "Bool":
        yield from ("true", "false")
    elif operator.startswith(("Numeric", "Date")):
        limit = (read.number if operator.startswith("Numeric") else read.moment)(value)
        yield from (value, str(limit - 1), str(limit + 1))
    elif operator.endswith("IpAddress"):
        yield value.partition("/")[0]
    elif operator.startswith("Binary"):
        yield value
    else:
        wildcards = operator.startswith("Arn") or operator.endswith("Like")
        pattern = resolve(parse_template(value, variables=variables, wildcards=wildcards), context)
        if pattern is not None:
            text = "".join("" if one is ANY else _ANYTHING if one is ONE else str(one) for one in pattern)
            yield text or _ANYTHING
