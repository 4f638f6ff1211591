"""Shapes: nothing of an answer is lost or made up on its way out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.core import times
from weft.query.shapes import gaps, group_map, group_rows, numbered
from weft.store.query import Group


@pytest.mark.contract("SF-90", "SF-91", "SF-92", "SF-93", "SF-94", "SF-95")
def test_the_documented_page_has_the_documented_pagination() -> None:
    shown = numbered(page=1, limit=100, total=15420)

    assert (shown.page, shown.page_size, shown.total, shown.pages, shown.has_next, shown.has_prev) == (
        1, 100, 15420, 155, True, False,
    )  # fmt: skip


@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 300))
def test_there_is_a_next_page_exactly_while_rows_are_left(page: int, limit: int, total: int) -> None:
    shown = numbered(page=page, limit=limit, total=total)

    assert shown.has_next == (page * limit < total)
    assert shown.has_prev == (page > 1)


Key = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 2.0]) | st.text('true0null-1.5"', max_size=5)


@given(
    st.lists(
        Key, unique_by=lambda key: (type(key) is str, str(key) if not isinstance(key, float) else str(key).removesuffix(".0"))
    )
)
def test_no_two_groups_share_a_name(keys: list[str | int | float | bool | None]) -> None:
    shown = group_map([Group((key,), number) for number, key in enumerate(keys)], is_time=False)

    assert sorted(value for value in shown.values() if value is not None) == list(range(len(keys)))


def test_a_plain_text_key_is_itself() -> None:
    assert group_map([Group(("web.click",), 8542), Group(("null",), 1)], is_time=False) == {"web.click": 8542, "null": 1}


def test_a_missing_key_and_the_text_null_are_told_apart() -> None:
    assert group_map([Group(("null",), 1), Group((None,), 2)], is_time=False) == {'"null"': 1, "null": 2}


def test_times_as_keys_are_written_as_times() -> None:
    moment_us = times.parse("2026-01-31T12:00:00Z")

    assert group_map([Group((moment_us,), 3)], is_time=True) == {"2026-01-31T12:00:00Z": 3}
    assert group_rows([Group(("a", moment_us), 3)], ["type", "hour"], frozenset({"hour"})) == [
        {"type": "a", "hour": "2026-01-31T12:00:00Z", "value": 3}
    ]


@given(st.integers(1, 20), st.sets(st.integers(0, 15)), st.integers(0, 19))
def test_gaps_and_buckets_cover_the_range_once(bucket_us: int, filled: set[int], cut: int) -> None:
    start_us, end_us = 1000, 1000 + 16 * bucket_us - min(cut, bucket_us - 1)
    starts = [start_us + number * bucket_us for number in sorted(filled)]

    found = gaps(start_us, end_us, bucket_us, starts)

    covered = {moment for begin in starts for moment in range(begin, min(begin + bucket_us, end_us))}
    empty = [moment for begin, end in found for moment in range(begin, end)]
    assert len(empty) == len(set(empty))
    assert set(empty) == set(range(start_us, end_us)) - covered
