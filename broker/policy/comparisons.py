"""Tests of one request value against the policy's values, by sort of operator; ``conditions.py`` lists the operators.

Each ``build`` function takes the policy's values and whether variables are known, and returns the test. A test raises
ValueError for a request value it cannot read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from broker.policy import values as read
from broker.policy.match import Match, Token, Wild, compile_pattern, literal
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

_WHOLE = 6

Test = Callable[[str, Values], bool]
"""Whether one request value matches any of the policy's values."""
Build = Callable[[tuple[str, ...], bool], Test]
"""Policy values, and whether variables are known (version 2012-10-17) -> the test. Raises ValueError."""


def string(fold: Callable[[str], str]) -> Build:
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


def string_like(wanted: tuple[str, ...], variables: bool) -> Test:
    templates = [parse_template(value, variables=variables, wildcards=True) for value in wanted]
    plain, open_ended = split_fixed(templates)

    def test(value: str, context: Values) -> bool:
        if plain is not None and plain(value):
            return True
        return any(template_matches(template, value, context) for template in open_ended)

    return test


def ordered(reader: Callable[[str], Any], relation: Callable[[Any, Any], bool]) -> Build:
    """Operators that read both sides as one type and compare."""

    def build(wanted: tuple[str, ...], _variables: bool) -> Test:
        limits = tuple(reader(value) for value in wanted)

        def test(value: str, _context: Values) -> bool:
            given = reader(value)
            return any(relation(given, limit) for limit in limits)

        return test

    return build


def ip(wanted: tuple[str, ...], _variables: bool) -> Test:
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


def arn(wanted: tuple[str, ...], variables: bool) -> Test:
    """Each of the six colon parts is matched on its own, so ``*`` does not cross a colon before the resource part.

    A value that is one variable and nothing else stands for a whole ARN, compared as text. Elsewhere a variable's
    value stays inside its part: it cannot bring a colon that shifts the others.
    """
    rows = [_arn_row(arn_templates(value, variables=variables)) for value in wanted]

    def test(value: str, context: Values) -> bool:
        parts = read.arn_parts(value)
        if parts is None:
            return False
        parts.append(value)
        for row in rows:
            for index, matcher in row:
                part = parts[index]
                if not (matcher(part) if callable(matcher) else template_matches(matcher, part, context)):
                    break
            else:
                return True
        return False

    return test


def _arn_row(templates: list[Template]) -> list[tuple[int, Match | Template]]:
    """What has to match, by part; the whole value is part 6. Left out is what every ARN fulfils: ``arn`` and ``*``."""
    if len(templates) == 1:
        return [(_WHOLE, templates[0])]
    ready = [compile_pattern(fixed(template)) if is_fixed(template) else template for template in templates]
    return [(index, ready[index]) for index, template in enumerate(templates) if index and template != (Wild.ANY,)]


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
