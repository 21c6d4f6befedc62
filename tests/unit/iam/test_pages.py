"""Pages: whatever their size, together they are the list; a marker is short, and only one of ours is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ValidationFailed
from broker.iam.pages import page_within

_LONGEST_MARKER = 320
KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=128)


@given(st.sets(KEYS, max_size=20), st.integers(1, 7))
def test_the_pages_together_are_the_list(keys: set[str], size: int) -> None:
    items = sorted(keys)
    found: list[str] = []
    marker = None
    while True:
        page = page_within(items, str, marker, size)
        assert len(page.items) <= size
        found += page.items
        marker = page.marker
        assert page.is_truncated == (marker is not None)
        if marker is None:
            break
        assert len(marker) <= _LONGEST_MARKER
    assert found == items


def test_a_long_key_that_is_gone_is_no_place_to_go_on_from() -> None:
    items = ["\U00020000" * 128 + end for end in "abc"]
    marker = page_within(items, str, None, 1).marker
    assert page_within(items, str, marker, 1).items == [items[1]]
    with pytest.raises(ValidationFailed, match="Invalid Marker"):
        page_within(items[1:], str, marker, 1)


@pytest.mark.parametrize("marker", ["no marker", "====", "AA", "wygk"])
def test_what_none_of_our_pages_had_is_refused(marker: str) -> None:
    with pytest.raises(ValidationFailed, match="Invalid Marker"):
        page_within(["a", "b"], str, marker, 1)
