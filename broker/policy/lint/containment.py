"""Is everything that one pattern matches matched by another? Answered with yes only where it is certain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from broker.policy.match import ONE, Match, Wild, compile_pattern, tokens

_VARIABLE = re.compile(r"\$\{[^}]*+\}")
# Units of work (about 0.1 µs each) that one search may cost, so that thousands of patterns cannot stall the linter.
_BUDGET = 2_000_000
_STEP = 20


class Patterns:
    """Patterns that can cover others. ``fold``: letter case does not matter (actions).

    A budget bounds the work; what is asked after it is spent is answered with no.
    """

    def __init__(self, *, fold: bool) -> None:
        self._fold = fold
        self._budget = _BUDGET
        self._compiled: dict[str, tuple[Match, int, bool]] = {}

    def spent(self) -> bool:
        """Whether the budget is spent; asking is a step of work, too."""
        self._budget -= _STEP
        return self._budget < 0

    @property
    def exhausted(self) -> bool:
        """As ``spent``, without asking for work."""
        return self._budget < 0

    def covers(self, wide: str, narrow: str) -> bool:
        """Whether ``wide`` matches all that ``narrow`` matches; policy variables stand for any text."""
        if self._fold:
            wide, narrow = wide.lower(), narrow.lower()
        if wide == "*" or wide == narrow:
            return True
        if "${" in wide or not ("*" in wide or "?" in wide) or self.spent():
            return False
        narrow = _VARIABLE.sub("*", narrow)
        matches, wildcards, ones = self._pattern(wide)
        self._budget -= len(narrow) * (1 + wildcards // 64)
        return not (ones and "*" in narrow) and matches(narrow)

    def all_covered(self, wide: Sequence[str], narrow: Sequence[str]) -> bool:
        """Whether each of ``narrow`` is covered by one of ``wide``."""
        return all(any(not self.spent() and self.covers(pattern, text) for pattern in wide) for text in narrow)

    def redundant(self, texts: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Pairs of places: the first text can go because of the second; of equal texts the first one stays."""
        folded = [text.lower() if self._fold else text for text in texts]
        first: dict[str, int] = {}
        wild = [place for place, text in enumerate(folded) if "*" in text or "?" in text]
        for place, text in enumerate(folded):
            found = first.setdefault(text, place)
            if found == place:
                found = self._wider(place, folded, wild)
            if found != place:
                yield place, found

    def _wider(self, place: int, texts: Sequence[str], wild: Sequence[int]) -> int:
        """The place of a text that covers more than the one at ``place``, or ``place`` itself."""
        for other in wild:
            if self.spent():
                break
            if texts[other] != texts[place] and self.covers(texts[other], texts[place]):
                return other
        return place

    def _pattern(self, text: str) -> tuple[Match, int, bool]:
        known = self._compiled.get(text)
        if known is None:
            parts = tokens(text)
            self._budget -= len(text)
            known = compile_pattern(parts), sum(isinstance(part, Wild) for part in parts), ONE in parts
            self._compiled[text] = known
        return known
