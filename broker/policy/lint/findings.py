"""What the linter says: findings in the shape of Access Analyzer's ``ValidatePolicyFinding``.

Access Analyzer API Reference, "ValidatePolicyFinding", "Location", "PathElement", "Span", "Position".
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

DOCUMENTATION = "docs/policy-lint.md"


class FindingType(StrEnum):
    """Access Analyzer's types, the gravest first."""

    ERROR = "ERROR"
    """A part of the policy does not work."""
    SECURITY_WARNING = "SECURITY_WARNING"
    """The policy allows more than its author can have meant."""
    WARNING = "WARNING"
    """The policy does not follow best practice."""
    SUGGESTION = "SUGGESTION"
    """The policy could be written better; access would stay the same."""

    def at_least(self, threshold: FindingType) -> bool:
        """Whether this type is as grave as ``threshold``."""
        order = list(FindingType)
        return order.index(self) <= order.index(threshold)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the text: ``line`` from 1, ``column`` and ``offset`` from 0, in characters."""

    line: int
    column: int
    offset: int


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` up to, and without, ``end``."""

    start: Position
    end: Position


@dataclass(frozen=True, slots=True)
class Index:
    """The element of a list."""

    index: int


@dataclass(frozen=True, slots=True)
class Value:
    """The value of an object's member of this name."""

    value: str


PathElement = Index | Value
Path = tuple[PathElement, ...]


@dataclass(frozen=True, slots=True)
class Location:
    """Where in the document: as a path, empty for the whole document or what is no JSON, and as a span."""

    path: Path
    span: Span


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to change. ``details``: what is wrong and what to write instead; ``locations``: the first is meant."""

    type: FindingType
    code: str
    details: str
    learn_more: str
    locations: tuple[Location, ...]


class Places:
    """Offsets of one text to positions."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]

    def position(self, offset: int) -> Position:
        line = bisect_right(self._starts, offset)
        return Position(line, offset - self._starts[line - 1], offset)

    def offset(self, line: int, column: int) -> int:
        """The offset of a place whose line and column are both counted from 1, as refusals count."""
        return self._starts[line - 1] + column - 1

    def span(self, start: int, end: int) -> Span:
        return Span(self.position(start), self.position(end))


def finding_as_json(finding: Finding) -> dict[str, object]:
    """The finding as the members of a ``ValidatePolicyFinding``."""
    return {
        "findingType": finding.type.value,
        "issueCode": finding.code,
        "findingDetails": finding.details,
        "learnMoreLink": finding.learn_more,
        "locations": [
            {
                "path": [_element(element) for element in location.path],
                "span": {"start": _position(location.span.start), "end": _position(location.span.end)},
            }
            for location in finding.locations
        ],
    }


def _element(element: PathElement) -> dict[str, object]:
    match element:
        case Index(index):
            return {"index": index}
        case Value(value):
            return {"value": value}


def _position(position: Position) -> dict[str, int]:
    return {"line": position.line, "column": position.column, "offset": position.offset}
