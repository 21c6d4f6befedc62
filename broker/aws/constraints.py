"""The constraints of the service models, and AWS's sentences for what breaks them.

Patterns are written for Java: ``\\w`` and ``\\d`` mean ASCII, ``\\p{L}`` a Unicode class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import regex

from broker.errors import ValidationFailed

_SHOWN_CHARACTERS = 256
_MAX_PROBLEMS = 10

Problems = list[str]
StringCheck = Callable[[str, str, Problems], None]


def raise_problems(problems: Problems) -> None:
    """Raises ValidationFailed, worded as AWS does, if there are problems."""
    if not problems:
        return
    shown = "; ".join(problems[:_MAX_PROBLEMS])
    noun = "validation error" if len(problems) == 1 else "validation errors"
    raise ValidationFailed(f"{len(problems)} {noun} detected: {shown}")


def missing(path: str) -> str:
    return f"Value null at '{path}' failed to satisfy constraint: Member must not be null"


_SECRET_SHAPES = frozenset({"tokenCodeType", "authenticationCodeType"})
"""Not marked ``sensitive`` in AWS's models, but a code of a moment ago is worth trying."""


def is_secret(shape: Any) -> bool:
    """Whether a value of this shape is shown nowhere: not in an answer, a log or the audit record."""
    return bool(shape.metadata.get("sensitive")) or shape.name in _SECRET_SHAPES


def compile_string(shape: Any) -> StringCheck | None:
    """A check of length, pattern and enum; None if the shape has no constraint."""
    metadata = shape.metadata
    least, most = metadata.get("min"), metadata.get("max")
    pattern = metadata.get("pattern")
    enum: Sequence[str] | None = metadata.get("enum")
    fullmatch = java_pattern(pattern).fullmatch if pattern else None
    allowed = frozenset(enum) if enum else None
    sensitive = is_secret(shape)
    if least is None and most is None and fullmatch is None and allowed is None:
        return None

    def check(value: str, path: str, problems: Problems) -> None:
        size = len(value)
        if most is not None and size > most:
            problems.append(_problem(value, path, f"Member must have length less than or equal to {most}", sensitive))
            return  # a text of any length does not reach the pattern
        if least is not None and size < least:
            problems.append(
                _problem(value, path, f"Member must have length greater than or equal to {least}", sensitive)
            )
        if fullmatch is not None and not fullmatch(value):
            problems.append(
                _problem(value, path, f"Member must satisfy regular expression pattern: {pattern}", sensitive)
            )
        if allowed is not None and value not in allowed:
            names = ", ".join(enum or ())
            problems.append(_problem(value, path, f"Member must satisfy enum value set: [{names}]", sensitive))

    return check


def check_range(shape: Any, value: int, path: str, problems: Problems) -> None:
    """``min`` and ``max`` of a number."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and value < least:
        problems.append(_problem(str(value), path, f"Member must have value greater than or equal to {least}", False))
    if most is not None and value > most:
        problems.append(_problem(str(value), path, f"Member must have value less than or equal to {most}", False))


def check_length(shape: Any, size: int, path: str, problems: Problems) -> None:
    """``min`` and ``max`` of a list, map or blob."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        problems.append(_problem("", path, f"Member must have length greater than or equal to {least}", True))
    if most is not None and size > most:
        problems.append(_problem("", path, f"Member must have length less than or equal to {most}", True))


def java_pattern(pattern: str) -> Any:
    """A model's pattern as a Python one."""
    translated = pattern.replace(r"\u10000-\u10FFFF", "\U00010000-\U0010ffff")
    if r"\p{" in translated:
        return regex.compile(translated)
    return re.compile(translated, re.ASCII)


def _problem(value: str, path: str, constraint: str, hidden: bool) -> str:
    shown = "" if hidden else f"'{value[:_SHOWN_CHARACTERS]}' "
    return f"Value {shown}at '{path}' failed to satisfy constraint: {constraint}"
