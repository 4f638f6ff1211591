"""Depth is found without parsing; a hostile frame must not get to the parser."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.api.nesting import is_deeper_than

VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=30,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((depth(entry) for entry in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth(entry) for entry in value), default=0)
    return 0


@given(VALUES, st.integers(min_value=0, max_value=6))
def test_the_depth_is_that_of_the_parsed_value(value: Any, limit: int) -> None:
    assert is_deeper_than(json.dumps(value).encode(), limit) == (depth(value) > limit)


@pytest.mark.parametrize("text", ['{"a":"[[[[[["}', r'{"a":"\"[[[[["}', r'{"a":"\\","b":"{{{{"}'])
def test_brackets_inside_texts_do_not_count(text: str) -> None:
    assert not is_deeper_than(text.encode(), 1)


def test_a_million_brackets_are_found_without_exhausting_anything() -> None:
    assert sys.getrecursionlimit() < 1_000_000
    assert is_deeper_than(b"[" * 1_000_000, 32)
    assert not is_deeper_than(b"[" + b"[]," * 300_000 + b"[]]", 32)
