"""The condition operators, one row each, and the rules they share.

IAM User Guide, "IAM JSON policy elements: Condition operators", "Conditions with multiple context keys or values" and
"Single-valued vs. multivalued context keys". The shared rules:

* Key missing (or without values): a positive operator is false, a negated one true, ``…IfExists`` true,
  ``ForAllValues`` true, ``ForAnyValue`` false. A key whose only value is the empty string counts as missing for
  ``ForAllValues``, ``ForAnyValue`` and ``Null``, so that ``Null: false`` guards a ``ForAllValues``.
* Values of one key are ORed; a negated operator holds if *none* of them matches.
* A key with several values under an operator without prefix: positive holds if any value matches, negated if none.
* A request value that cannot be read as the operator's type (a word under ``NumericLessThan``): an Allow statement
  does not apply and a Deny statement does, whatever the operator. AWS does not document this; it fails closed. All
  values of a key are read before any is judged, so their order cannot matter.
* What many or long request values cost is added up over a decision; one that would cost too much denies.
"""

from __future__ import annotations

import operator as compare
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from broker.policy import values as read
from broker.policy.comparisons import Build, Test, arn, arn_templates, ip, ordered, string, string_like
from broker.policy.context import Metered
from broker.policy.variables import Values, parse_template

# Comparisons (request values times policy values) that one decision may take: about 10 ms.
_WORK_LIMIT = 25_000
# So many characters of request values count as one value more.
_LONG = 128

NULL = "Null"
"""The operator without table row: it asks for the key, not for its values."""

Check = Callable[[Values], bool]
"""Whether a condition holds."""


class Quantifier(Enum):
    """The set prefix of an operator."""

    NONE = ""
    ALL = "ForAllValues:"
    ANY = "ForAnyValue:"


@dataclass(frozen=True, slots=True)
class Operator:
    """A row of the table.

    ``check`` raises ValueError for a policy value it cannot read (its second argument: whether variables are known).
    ``negated`` operators hold if their test fails for all values. ``scans``: the test's cost grows with the number of
    policy values. ``reading`` one request value costs as much as so many comparisons.
    """

    build: Build
    check: Callable[[str, bool], object]
    negated: bool = False
    scans: bool = True
    reading: int = 0


class TooCostlyError(Exception):
    """Many or long request values meet many policy values; the evaluation gives up, which denies."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator applied to one key, as written. ``start`` is the key's offset in the document."""

    operator: str
    quantifier: Quantifier
    if_exists: bool
    key: str
    values: tuple[str, ...]
    start: int

    @property
    def written(self) -> str:
        """The operator with its prefix and suffix."""
        return f"{self.quantifier.value}{self.operator}{'IfExists' if self.if_exists else ''}"


def _check_template(value: str, variables: bool) -> object:
    return parse_template(value, variables=variables, wildcards=False)


def _check_arn(value: str, variables: bool) -> object:
    return arn_templates(value, variables=variables)


def _typed(reader: Callable[[str], Any], relation: Callable[[Any, Any], bool], *, negated: bool = False) -> Operator:
    cost = 10 if reader is read.moment else 2
    return Operator(ordered(reader, relation), lambda value, _variables: reader(value), negated, reading=cost)


def _text(fold: Callable[[str], str], *, negated: bool = False) -> Operator:
    return Operator(string(fold), _check_template, negated, scans=False)


def _address(*, negated: bool = False) -> Operator:
    return Operator(ip, lambda value, _variables: read.network(value), negated, scans=False, reading=8)


OPERATORS: dict[str, Operator] = {
    "StringEquals": _text(str),
    "StringNotEquals": _text(str, negated=True),
    "StringEqualsIgnoreCase": _text(read.fold),
    "StringNotEqualsIgnoreCase": _text(read.fold, negated=True),
    "StringLike": Operator(string_like, _check_template),
    "StringNotLike": Operator(string_like, _check_template, negated=True),
    "NumericEquals": _typed(read.number, compare.eq),
    "NumericNotEquals": _typed(read.number, compare.eq, negated=True),
    "NumericLessThan": _typed(read.number, compare.lt),
    "NumericLessThanEquals": _typed(read.number, compare.le),
    "NumericGreaterThan": _typed(read.number, compare.gt),
    "NumericGreaterThanEquals": _typed(read.number, compare.ge),
    "DateEquals": _typed(read.moment, compare.eq),
    "DateNotEquals": _typed(read.moment, compare.eq, negated=True),
    "DateLessThan": _typed(read.moment, compare.lt),
    "DateLessThanEquals": _typed(read.moment, compare.le),
    "DateGreaterThan": _typed(read.moment, compare.gt),
    "DateGreaterThanEquals": _typed(read.moment, compare.ge),
    "Bool": _typed(read.boolean, compare.eq),
    "BinaryEquals": _typed(read.binary, compare.eq),
    "IpAddress": _address(),
    "NotIpAddress": _address(negated=True),
    "ArnEquals": Operator(arn, _check_arn),
    "ArnLike": Operator(arn, _check_arn),
    "ArnNotEquals": Operator(arn, _check_arn, negated=True),
    "ArnNotLike": Operator(arn, _check_arn, negated=True),
}


def parse_operator(written: str) -> tuple[str, Quantifier, bool]:
    """Operator, set prefix and ``IfExists`` of a name as written. Raises ValueError for an unknown one."""
    quantifier = Quantifier.NONE
    name = written
    for prefix in (Quantifier.ALL, Quantifier.ANY):
        if name.startswith(prefix.value):
            quantifier, name = prefix, name[len(prefix.value) :]
            break
    if name == NULL and quantifier is Quantifier.NONE:
        return NULL, quantifier, False
    base = name.removesuffix("IfExists")
    if base not in OPERATORS:
        raise ValueError("the condition operator is not known")
    return base, quantifier, base != name


def check_value(operator: str, value: str, *, variables: bool) -> None:
    """Refuse a policy value that the operator cannot read. Raises ValueError."""
    if operator == NULL:
        read.boolean(value)
    else:
        OPERATORS[operator].check(value, variables)


def compile_condition(condition: Condition, *, variables: bool, deny: bool) -> Check:
    """The closure that answers one condition, for a statement that denies or allows."""
    key = condition.key.lower()
    if condition.operator == NULL:
        return _null(key, condition.values)
    row = OPERATORS[condition.operator]
    test = row.build(condition.values, variables)
    resolved = any("${" in value for value in condition.values)
    scanned = len(condition.values) * (1 + resolved) if row.scans or resolved else 1
    cost = row.reading + scanned
    if condition.quantifier is Quantifier.NONE:
        return _plain(key, test, row.negated, row.negated or condition.if_exists, deny, cost)
    everything = condition.quantifier is Quantifier.ALL
    missing = everything or condition.if_exists
    return _quantified(key, all if everything else any, test, row.negated, missing, deny, cost)


def _plain(key: str, test: Test, negated: bool, missing: bool, deny: bool, cost: int) -> Check:
    def check(context: Values) -> bool:
        given = context.get(key)
        if not given:
            return missing
        try:
            if len(given) == 1 and len(given[0]) <= _LONG:
                return test(given[0], context) is not negated
            return any(_answers(test, given, context, cost)) is not negated
        except ValueError:
            return deny

    return check


def _quantified(
    key: str, quantify: Callable[[list[bool]], bool], test: Test, negated: bool, missing: bool, deny: bool, cost: int
) -> Check:
    def check(context: Values) -> bool:
        given = context.get(key)
        if not given or given == ("",):
            return missing
        try:
            return quantify([answer is not negated for answer in _answers(test, given, context, cost)])
        except ValueError:
            return deny

    return check


def _answers(test: Test, given: tuple[str, ...], context: Values, cost: int) -> list[bool]:
    work = (len(given) + sum(map(len, given)) // _LONG) * cost
    if isinstance(context, Metered):
        work = context.spent = context.spent + work
    if work > _WORK_LIMIT:
        raise TooCostlyError(f"{len(given)} request values")
    return [test(value, context) for value in given]


def _null(key: str, wanted: tuple[str, ...]) -> Check:
    absent_wanted = frozenset(read.boolean(value) for value in wanted)

    def check(context: Values) -> bool:
        given = context.get(key)
        return (not given or given == ("",)) in absent_wanted

    return check
