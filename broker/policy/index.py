"""Which statements could match a request: found by service, literal head of the resource and action, not by walking.

A pattern's *head* is its text up to the first wildcard or variable. All heads that begin a text are found with one
binary search: in sorted order the longest of them is the text's left neighbour or one of that neighbour's own
prefixes, which are linked at build time. The index only narrows; the statement's own matchers decide.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
G = TypeVar("G")

# Statements in one resource bucket from which an index by action pays.
_BUCKET = 8
# A statement with more services or more actions than these is filed once for all of them: the index stays linear.
_SERVICES = 8
_ACTIONS = 16


@dataclass(frozen=True, slots=True)
class Head:
    """The literal beginning of a pattern; ``whole`` if nothing follows it."""

    text: str
    whole: bool


EVERYTHING = Head("", whole=False)


@dataclass(frozen=True, slots=True, eq=False)
class Filed(Generic[T]):
    """A statement and what it is filed under. No ``services`` means any service."""

    statement: T
    services: frozenset[str]
    actions: tuple[Head, ...]
    resources: tuple[Head, ...]


class HeadIndex(Generic[T, G]):
    """Groups of values by head; ``make`` turns the values under one head into what ``find`` gives back."""

    __slots__ = ("_groups", "_heads", "_parents", "_whole")

    def __init__(self, entries: Iterable[tuple[Head, T]], make: Callable[[tuple[T, ...]], G]) -> None:
        groups: dict[Head, dict[T, None]] = {}
        for head, value in entries:
            groups.setdefault(head, {})[value] = None
        self._whole = {head.text: make(tuple(group)) for head, group in groups.items() if head.whole}
        self._heads = sorted(head.text for head in groups if not head.whole)
        self._groups = [make(tuple(groups[Head(text, whole=False)])) for text in self._heads]
        self._parents: list[int] = []
        for position, text in enumerate(self._heads):
            parent = position - 1
            while parent >= 0 and not text.startswith(self._heads[parent]):
                parent = self._parents[parent]
            self._parents.append(parent)

    def find(self, text: str) -> list[G]:
        """The groups whose head begins ``text`` (or is all of it, for whole heads)."""
        heads = self._heads
        at = bisect_right(heads, text) - 1
        while at >= 0 and not text.startswith(heads[at]):
            at = self._parents[at]
        found = [self._whole[text]] if text in self._whole else []
        while at >= 0:
            found.append(self._groups[at])
            at = self._parents[at]
        return found


class _Group(Generic[T]):
    """The statements under one resource head; many of them are filed again by action."""

    __slots__ = ("by_action", "statements")

    def __init__(self, filed: tuple[Filed[T], ...]) -> None:
        self.statements = tuple(item.statement for item in filed)
        self.by_action: HeadIndex[T, tuple[T, ...]] | None = None
        if len(filed) > _BUCKET:
            self.by_action = HeadIndex(((head, item.statement) for item in filed for head in item.actions), tuple)


class StatementIndex(Generic[T]):
    """All statements of one effect."""

    __slots__ = ("_any_service", "_by_service")

    def __init__(self, filed: Sequence[Filed[T]]) -> None:
        by_service: dict[str, list[Filed[T]]] = {}
        any_service: list[Filed[T]] = []
        for item in filed:
            for service in item.services:
                by_service.setdefault(service, []).append(item)
            if not item.services:
                any_service.append(item)
        self._by_service = {service: _by_resource(items) for service, items in by_service.items()}
        self._any_service = _by_resource(any_service) if any_service else None

    def candidates(self, service: str, action: str, resource: str) -> Sequence[T]:
        """The statements that could match, each once. ``service`` and ``action`` are in lower case."""
        index = self._by_service.get(service)
        groups = index.find(resource) if index is not None else []
        if self._any_service is not None:
            groups += self._any_service.find(resource)
        if not groups:
            return ()
        if len(groups) == 1 and groups[0].by_action is None:
            return groups[0].statements
        found: dict[T, None] = {}
        for group in groups:
            if group.by_action is None:
                found.update(dict.fromkeys(group.statements))
            else:
                for statements in group.by_action.find(action):
                    found.update(dict.fromkeys(statements))
        return tuple(found)


def file(statement: T, services: frozenset[str], actions: tuple[Head, ...], resources: tuple[Head, ...]) -> Filed[T]:
    """The statement under its keys, with those left out that are too many to be worth their entries."""
    return Filed(
        statement,
        services if len(services) <= _SERVICES else frozenset(),
        actions if len(actions) <= _ACTIONS else (EVERYTHING,),
        resources,
    )


def _by_resource(filed: Sequence[Filed[T]]) -> HeadIndex[Filed[T], _Group[T]]:
    return HeadIndex(((head, item) for item in filed for head in item.resources), _Group)
