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
"""

from __future__ import annotations

import operator as compare
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from broker.policy import values as read
from broker.policy.match import Token, literal
from broker.policy.variables import (
    Template,
    Values,
    Variable,
    fixed,
    is_fixed,
    parse_template,
    resolve,
    split_fixed,
    template_matches,
)

NULL = "Null"
"""The operator without table row: it asks for the key, not for its values."""

Test = Callable[[str, Values], bool]
"""Whether one request value matches any of the policy's values."""
Check = Callable[[Values], bool]
"""Whether a condition holds."""
Build = Callable[[tuple[str, ...], bool], Test]
"""Policy values, and whether variables are known (version 2012-10-17) -> the test. Raises ValueError."""


class Quantifier(Enum):
    """The set prefix of an operator."""

    NONE = ""
    ALL = "ForAllValues:"
    ANY = "ForAnyValue:"


@dataclass(frozen=True, slots=True)
class Operator:
    """A row of the table. ``negated`` operators hold if their test fails for all values."""

    build: Build
    negated: bool = False


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


def _string(fold: Callable[[str], str]) -> Build:
    def build(wanted: tuple[str, ...], variables: bool) -> Test:
        templates = [parse_template(value, variables=variables, wildcards=False) for value in wanted]
        exact = frozenset(fold(literal(fixed(t)) or "") for t in templates if is_fixed(t))
        open_ended = tuple(t for t in templates if not is_fixed(t))

        def test(value: str, context: Values) -> bool:
            value = fold(value)
            if value in exact:
                return True
            for template in open_ended:
                pattern = resolve(template, context)
                if pattern is not None and fold(literal(pattern) or "") == value:
                    return True
            return False

        return test

    return build


def _string_like(wanted: tuple[str, ...], variables: bool) -> Test:
    templates = [parse_template(value, variables=variables, wildcards=True) for value in wanted]
    plain, open_ended = split_fixed(templates)

    def test(value: str, context: Values) -> bool:
        if plain is not None and plain(value):
            return True
        return any(template_matches(template, value, context) for template in open_ended)

    return test


def _ordered(reader: Callable[[str], Any], relation: Callable[[Any, Any], bool]) -> Build:
    """Operators that read both sides as one type and compare."""

    def build(wanted: tuple[str, ...], _variables: bool) -> Test:
        limits = tuple(reader(value) for value in wanted)

        def test(value: str, _context: Values) -> bool:
            given = reader(value)
            return any(relation(given, limit) for limit in limits)

        return test

    return build


def _ip(wanted: tuple[str, ...], _variables: bool) -> Test:
    networks: dict[tuple[int, int], set[int]] = {}
    for value in wanted:
        version, number, length = read.network(value)
        networks.setdefault((version, length), set()).add(number)
    rows = tuple((version, length, frozenset(numbers)) for (version, length), numbers in networks.items())

    def test(value: str, _context: Values) -> bool:
        version, number, width = read.network(value)
        if width != read.WIDTH[version]:
            raise ValueError("an address is expected")
        return any(version == v and number >> (width - length) in numbers for v, length, numbers in rows)

    return test


def _arn(wanted: tuple[str, ...], variables: bool) -> Test:
    """Each of the six colon parts is matched on its own, so ``*`` does not cross a colon before the resource part.

    A value that is one variable and nothing else stands for a whole ARN, compared as text. Elsewhere a variable's
    value stays inside its part: it cannot bring a colon that shifts the others.
    """
    rows = [arn_templates(value, variables=variables) for value in wanted]

    def test(value: str, context: Values) -> bool:
        parts = read.arn_parts(value)
        if parts is None:
            return False
        for row in rows:
            if len(row) == 1:
                if template_matches(row[0], value, context):
                    return True
            elif all(map(template_matches, row, parts, (context,) * 6)):
                return True
        return False

    return test


def arn_templates(text: str, *, variables: bool) -> list[Template]:
    """The parts of an ARN pattern: six, or the single variable that stands for a whole ARN. Raises ValueError."""
    template = parse_template(text, variables=variables, wildcards=True)
    if len(template) == 1 and isinstance(template[0], Variable):
        return [template]
    parts: list[list[Token | Variable]] = [[]]
    for token in template:
        if isinstance(token, str):
            first, *others = token.split(":", 6 - len(parts))
            parts[-1].append(first)
            parts.extend([other] for other in others)
        else:
            parts[-1].append(token)
    if len(parts) != 6 or parts[0] != ["arn"]:
        raise ValueError("an ARN of six parts is expected")
    return [tuple(part for part in parts_of if part != "") for parts_of in parts]


OPERATORS: dict[str, Operator] = {
    "StringEquals": Operator(_string(str)),
    "StringNotEquals": Operator(_string(str), negated=True),
    "StringEqualsIgnoreCase": Operator(_string(read.fold)),
    "StringNotEqualsIgnoreCase": Operator(_string(read.fold), negated=True),
    "StringLike": Operator(_string_like),
    "StringNotLike": Operator(_string_like, negated=True),
    "NumericEquals": Operator(_ordered(read.number, compare.eq)),
    "NumericNotEquals": Operator(_ordered(read.number, compare.eq), negated=True),
    "NumericLessThan": Operator(_ordered(read.number, compare.lt)),
    "NumericLessThanEquals": Operator(_ordered(read.number, compare.le)),
    "NumericGreaterThan": Operator(_ordered(read.number, compare.gt)),
    "NumericGreaterThanEquals": Operator(_ordered(read.number, compare.ge)),
    "DateEquals": Operator(_ordered(read.moment, compare.eq)),
    "DateNotEquals": Operator(_ordered(read.moment, compare.eq), negated=True),
    "DateLessThan": Operator(_ordered(read.moment, compare.lt)),
    "DateLessThanEquals": Operator(_ordered(read.moment, compare.le)),
    "DateGreaterThan": Operator(_ordered(read.moment, compare.gt)),
    "DateGreaterThanEquals": Operator(_ordered(read.moment, compare.ge)),
    "Bool": Operator(_ordered(read.boolean, compare.eq)),
    "BinaryEquals": Operator(_ordered(read.binary, compare.eq)),
    "IpAddress": Operator(_ip),
    "NotIpAddress": Operator(_ip, negated=True),
    "ArnEquals": Operator(_arn),
    "ArnLike": Operator(_arn),
    "ArnNotEquals": Operator(_arn, negated=True),
    "ArnNotLike": Operator(_arn, negated=True),
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
        OPERATORS[operator].build((value,), variables)


def compile_condition(condition: Condition, *, variables: bool, deny: bool) -> Check:
    """The closure that answers one condition, for a statement that denies or allows."""
    key = condition.key.lower()
    if condition.operator == NULL:
        return _null(key, condition.values)
    row = OPERATORS[condition.operator]
    test = row.build(condition.values, variables)
    if condition.quantifier is Quantifier.NONE:
        return _plain(key, test, row.negated, row.negated or condition.if_exists, deny)
    if condition.quantifier is Quantifier.ALL:
        return _quantified(key, all, test, row.negated, True, deny)
    return _quantified(key, any, test, row.negated, condition.if_exists, deny)


def _plain(key: str, test: Test, negated: bool, missing: bool, deny: bool) -> Check:
    def check(context: Values) -> bool:
        given = context.get(key)
        if not given:
            return missing
        try:
            if len(given) == 1:
                return test(given[0], context) is not negated
            answers = [test(value, context) for value in given]
            return any(answers) is not negated
        except ValueError:
            return deny

    return check


def _quantified(
    key: str, quantify: Callable[[list[bool]], bool], test: Test, negated: bool, missing: bool, deny: bool
) -> Check:
    def check(context: Values) -> bool:
        given = context.get(key)
        if not given or given == ("",):
            return missing
        try:
            return quantify([test(value, context) is not negated for value in given])
        except ValueError:
            return deny

    return check


def _null(key: str, wanted: tuple[str, ...]) -> Check:
    absent_wanted = frozenset(read.boolean(value) for value in wanted)

    def check(context: Values) -> bool:
        given = context.get(key)
        return (not given or given == ("",)) in absent_wanted

    return check
