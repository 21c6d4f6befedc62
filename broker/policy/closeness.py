"""How much two texts resemble each other, in bounded time: what is nearest to what somebody meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

# Characters that are compared, after what both texts begin and end with; policy values that are compared.
_LENGTH = 64
_VALUES = 64


def common_prefix(left: str, right: str) -> int:
    """The number of characters that both texts begin with."""
    return _common(left, right, lambda size: right.startswith(left[:size]))


def closeness(left: str, right: str) -> float:
    """0 (nothing in common) to 1 (equal); a difference in case counts little."""
    if left == right:
        return 1.0
    left, right = left.lower(), right.lower()
    if left == right:
        return 0.99
    begin = common_prefix(left, right)
    left, right = left[begin:], right[begin:]
    end = _common(left, right, lambda size: right.endswith(left[len(left) - size :]))
    longest = max(len(left), len(right))
    left, right = left[: len(left) - end][:_LENGTH], right[: len(right) - end][:_LENGTH]
    inner = SequenceMatcher(None, left, right, autojunk=False).ratio() * min(len(left), len(right))
    return min(0.98, (begin + end + inner) / (begin + longest))


def nearest_first(text: str, values: Sequence[str]) -> tuple[str, ...]:
    """``values`` with the one that resembles ``text`` most in front; of many only the first 64 are compared."""
    if len(values) < 2:
        return tuple(values)
    lowered = text.lower()
    best = max(range(min(len(values), _VALUES)), key=lambda index: _rank(lowered, values[index].lower()))
    return (values[best], *values[:best], *values[best + 1 :])


def _rank(left: str, right: str) -> float:
    """A cheap likeness: the share of the longer text that both begin and end with."""
    begin = common_prefix(left, right)
    end = _common(left, right, lambda size: right.endswith(left[len(left) - size :]))
    return min(begin + end, len(left)) / max(len(left), len(right), 1)


def _common(left: str, right: str, shared: Callable[[int], bool]) -> int:
    """The largest number of characters that are ``shared``, by bisection."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if shared(middle):
            low = middle
        else:
            high = middle - 1
    return low
