"""Canonical JSON against another implementation of RFC 8785, and what has no canonical form."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from broker.audit.canonical import canonical, is_plain

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, VALUES, max_size=5), st.booleans())
def test_it_is_rfc_8785(value: dict[str, Any], ascii_only: bool) -> None:
    record = json.dumps(value, ensure_ascii=ascii_only)
    assert canonical(record) == rfc8785.dumps(value)
    assert is_plain(record)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('{"b":1,"a":2}', b'{"a":2,"b":1}'),
        ('{ "a" : [ 1, 2 ] }', b'{"a":[1,2]}'),
        ('{"\\ufb33":1,"\\ud83d\\ude02":2}', '{"\U0001f602":2,"\ufb33":1}'.encode()),  # the RFC's own, 3.2.3
        ('{"a":1.0,"b":1e21,"c":0.000001}', b'{"a":1,"b":1e+21,"c":0.000001}'),
        ('{"a":9007199254740993}', b'{"a":"9007199254740993"}'),
        ('{"a":"\\u001b\\u2028\\n"}', '{"a":"\\u001b\u2028\\n"}'.encode()),
        ("no JSON", b"no JSON"),
        ('{"a":"\\ud800"}', b'{"a":"\\ud800"}'),
    ],
)
def test_forms(record: str, expected: bytes) -> None:
    assert canonical(record) == expected


@pytest.mark.parametrize("record", ['{"a":1,"a":2}', '{"a":{"b":1,"b":1}}', "no JSON", "[" * 100_000])
def test_what_can_be_read_in_two_ways_is_not_plain(record: str) -> None:
    assert not is_plain(record)
