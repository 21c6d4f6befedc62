"""Policy variables: ``${key}``, ``${key, 'default'}`` and the escapes ``${*}``, ``${?}``, ``${$}``.

IAM User Guide, "IAM policy elements: Variables and tags". They exist in version 2012-10-17 only, in the resource part
of ``Resource``/``NotResource`` and in the values of string and ARN operators. The pages disagree about ``Bool``; here a
``Bool`` value is ``true`` or ``false`` and nothing else. A substituted value is literal text: it is put in once,
is never read again for variables, and its ``*`` and ``?`` are no wildcards.

A key that is missing, or has more than one value, gives the default; without default the variable is unresolved and
the pattern it stands in matches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from broker.policy.match import ANY, ONE, Match, Token, Wild, canonical, compile_any, matches

_VARIABLE = re.compile(r"\$\{(?:([*?$])|([^\s${}*?',]++(?:\ ++[^\s${}*?',]++)*+)\ *+(?:,\ *+'([^'${}]*+)'\ *+)?+)\}")
_SPECIAL = re.compile(r"\$\{|[*?]")

Values = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Variable:
    """A reference to the context; ``key`` is in lower case, as context keys are looked up."""

    key: str
    default: str | None


Template = tuple[Token | Variable, ...]


def parse_template(text: str, *, variables: bool, wildcards: bool) -> Template:
    """``text`` as literals, wildcards and variables. Raises ValueError for a ``${`` that begins no variable."""
    if not _SPECIAL.search(text):
        return (text,) if text else ()
    parts: list[Token | Variable] = []
    at = 0
    while special := _SPECIAL.search(text, at):
        start = special.start()
        if special[0] == "${" and variables:
            variable = _VARIABLE.match(text, start)
            if variable is None:
                raise ValueError("the policy variable is not valid")
            parts += (text[at:start], _reference(variable))
            at = variable.end()
        elif special[0] in "*?" and wildcards:
            parts += (text[at:start], ANY if special[0] == "*" else ONE)
            at = start + 1
        else:
            parts.append(text[at : special.end()])
            at = special.end()
    parts.append(text[at:])
    return _joined(parts)


def _reference(variable: re.Match[str]) -> str | Variable:
    if variable[1]:
        return variable[1]
    return Variable(variable[2].lower(), variable[3])


def _joined(parts: list[Token | Variable]) -> Template:
    """Canonical between the variables; around a variable nothing is moved."""
    out: list[Token | Variable] = []
    run: list[Token] = []
    for part in parts:
        if isinstance(part, Variable):
            out += (*canonical(run), part)
            run = []
        else:
            run.append(part)
    return (*out, *canonical(run))


def is_fixed(template: Template) -> bool:
    """Whether the template has no variable."""
    return not any(isinstance(part, Variable) for part in template)


def fixed(template: Template) -> tuple[Token, ...]:
    """The template as a plain pattern, once ``is_fixed`` has said so."""
    return tuple(part for part in template if isinstance(part, str | Wild))


def resolve(template: Template, context: Values) -> tuple[Token, ...] | None:
    """The pattern with every variable replaced by its literal value, or None if one is unresolved."""
    parts: list[Token] = []
    for part in template:
        if isinstance(part, Variable):
            values = context.get(part.key, ())
            value = values[0] if len(values) == 1 else part.default
            if value is None:
                return None
            parts.append(value)
        else:
            parts.append(part)
    return canonical(parts)


def split_fixed(templates: list[Template]) -> tuple[Match | None, tuple[Template, ...]]:
    """One matcher for the templates without variables (None if there are none), and the others."""
    plain = [fixed(template) for template in templates if is_fixed(template)]
    return (compile_any(plain) if plain else None), tuple(t for t in templates if not is_fixed(t))


def template_matches(template: Template, text: str, context: Values) -> bool:
    """Whether the resolved template matches ``text``; an unresolved one does not.

    The literals at its ends are compared first, because resolving costs more.
    """
    if template and isinstance(template[0], str) and not text.startswith(template[0]):
        return False
    if template and isinstance(template[-1], str) and not text.endswith(template[-1]):
        return False
    pattern = resolve(template, context)
    return pattern is not None and matches(pattern, text)
