"""Wildcard matching in linear time.

``*`` stands for any run of characters, also none and also across ``/`` and ``:``; ``?`` for exactly one (IAM User
Guide, "IAM JSON policy elements: Resource"). No pattern is ever handed to a backtracking engine: patterns without
``?`` are found piece by piece with ``str.find``, all others by a state set held in one integer, whose cost is the
pattern's length times the text's length / 64.

*Resource elements* are matched over the whole ARN, because AWS lets a ``*`` at the end of a segment "expand to match
beyond the colon boundaries". *ARN condition operators* are matched part by part (see ``conditions.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache
from itertools import groupby


class Wild(Enum):
    """The two wildcards of a token list."""

    ANY = "*"
    ONE = "?"


Token = str | Wild
Match = Callable[[str], bool]

ANY, ONE = Wild.ANY, Wild.ONE
_WILD = {"*": ANY, "?": ONE}
# From here on str.find may be quadratic, so the state set takes over.
_FIND_LIMIT = 40_000
# Literals up to this length are looked for before the state set starts.
_SHORT = 16
# Literals remembered for one text.
_MASKS = 2_048


def tokens(pattern: str) -> tuple[Token, ...]:
    """``pattern`` cut into literals and wildcards."""
    found: list[Token] = []
    start = 0
    for index, character in enumerate(pattern):
        if character in _WILD:
            found.extend((pattern[start:index], _WILD[character]))
            start = index + 1
    found.append(pattern[start:])
    return canonical(found)


def canonical(parts: Sequence[Token]) -> tuple[Token, ...]:
    """Neighbouring literals joined, ``*`` runs reduced to one, ``*?`` turned into ``?*``; the meaning is the same."""
    out: list[Token] = []
    for part in parts:
        if part == "":
            continue
        last = out[-1] if out else None
        if isinstance(part, str) and isinstance(last, str):
            out[-1] = last + part
        elif last is ANY and part is ONE:
            out[-1:] = [ONE, ANY]
        elif not (part is ANY and last is ANY):
            out.append(part)
    return tuple(out)


def literal(pattern: Sequence[Token]) -> str | None:
    """The only text that ``pattern`` matches, or None if it has wildcards."""
    if not pattern:
        return ""
    return pattern[0] if len(pattern) == 1 and isinstance(pattern[0], str) else None


def matches(pattern: Sequence[Token], text: str) -> bool:
    """Whether ``pattern`` (canonical) matches all of ``text``."""
    return compile_pattern(pattern)(text)


def compile_pattern(pattern: Sequence[Token]) -> Match:
    """The matcher of one canonical pattern."""
    only = literal(pattern)
    if only is not None:
        return only.__eq__
    return _with_ones(pattern) if ONE in pattern else _by_pieces(pattern)


def compile_any(patterns: Sequence[Sequence[Token]]) -> Match:
    """The matcher of a list of canonical patterns, of which one has to match."""
    exact: set[str] = set()
    prefixes: list[str] = []
    others: list[Match] = []
    for pattern in patterns:
        only = literal(pattern)
        if only is not None:
            exact.add(only)
        elif pattern[-1] is ANY and len(pattern) == 1:
            return _everything
        elif pattern[-1] is ANY and len(pattern) == 2 and isinstance(pattern[0], str):
            prefixes.append(pattern[0])
        else:
            others.append(compile_pattern(pattern))
    return _union(frozenset(exact), tuple(prefixes), tuple(others))


def _everything(_text: str) -> bool:
    return True


def _union(exact: frozenset[str], prefixes: tuple[str, ...], others: tuple[Match, ...]) -> Match:
    """One test for the three sorts of pattern; the sorts that occur alone get a test without the rest."""
    if not others and not prefixes:
        return exact.__contains__
    if not others and not exact:
        return lambda text: text.startswith(prefixes)
    if len(others) == 1 and not exact and not prefixes:
        return others[0]

    def union(text: str) -> bool:
        if text in exact or text.startswith(prefixes):
            return True
        return any(other(text) for other in others)

    return union


def _by_pieces(pattern: Sequence[Token]) -> Match:
    """Leftmost search of each literal between two ``*``: the earliest place is never worse than a later one."""
    first = pattern[0] if isinstance(pattern[0], str) else ""
    last = pattern[-1] if isinstance(pattern[-1], str) else ""
    middle = [part for part in pattern if isinstance(part, str)]
    if first:
        middle = middle[1:]
    if last:
        middle = middle[:-1]
    shortest = sum(len(part) for part in pattern if isinstance(part, str))
    longest = max(map(len, middle), default=0)
    begin, tail = len(first), len(last)

    def by_pieces(text: str) -> bool:
        size = len(text)
        if size < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        if longest * size > _FIND_LIMIT:
            return _by_states(pattern, text)
        at, end = begin, size - tail
        for piece in middle:
            at = text.find(piece, at, end)
            if at < 0:
                return False
            at += len(piece)
        return True

    return by_pieces


def _with_ones(pattern: Sequence[Token]) -> Match:
    """Most texts lack one of the pattern's short literals, which is seen at once; the state set judges the rest."""
    steps = _steps(pattern)
    needed = tuple({part for part in pattern if isinstance(part, str) and len(part) <= _SHORT})

    def with_ones(text: str) -> bool:
        for part in needed:
            if part not in text:
                return False
        return _by_states(steps, text)

    return with_ones


def _steps(pattern: Sequence[Token]) -> list[Token | int]:
    """The pattern with each run of ``?`` as its length."""
    steps: list[Token | int] = []
    for part, run in groupby(pattern):
        steps.append(len(list(run)) if part is ONE else part)
    return steps


def _by_states(steps: Sequence[Token | int], text: str) -> bool:
    """Bit i of ``states`` says that the pattern so far matches the first i characters of ``text``."""
    places = _places(text)
    everywhere = (1 << (len(text) + 1)) - 1
    states = 1
    for part in steps:
        if part is ANY:
            states = everywhere ^ ((states & -states) - 1)
        elif isinstance(part, int):
            states = (states << part) & everywhere if part <= len(text) else 0
        elif isinstance(part, str):
            states = (states & places.of(part)) << len(part)
        if not states:
            return False
    return bool(states >> len(text))


class _Places:
    """Where each literal stands in a text, as one integer per literal, made when first asked for.

    A longer literal is put together from halves, so that the same text in many patterns (a variable's value, say) is
    searched once.
    """

    __slots__ = ("_masks", "_positions", "_size")

    def __init__(self, text: str) -> None:
        positions: dict[str, list[int]] = {}
        for index, character in enumerate(text):
            positions.setdefault(character, []).append(index)
        self._positions = positions
        self._masks: dict[str, int] = {}
        self._size = len(text) // 8 + 1

    def of(self, literal: str) -> int:
        """Bit i is set if ``literal`` begins at character i."""
        mask = self._masks.get(literal)
        if mask is None:
            mask = self._character(literal) if len(literal) == 1 else self._halves(literal)
            if len(self._masks) >= _MASKS:
                self._masks.clear()
            self._masks[literal] = mask
        return mask

    def _character(self, character: str) -> int:
        bits = bytearray(self._size)
        for index in self._positions.get(character, ()):
            bits[index >> 3] |= 1 << (index & 7)
        return int.from_bytes(bits, "little")

    def _halves(self, literal: str) -> int:
        middle = 1 << ((len(literal) - 1).bit_length() - 1)
        first = self.of(literal[:middle])
        return first and first & (self.of(literal[middle:]) >> middle)


@lru_cache(maxsize=64)
def _places(text: str) -> _Places:
    return _Places(text)
