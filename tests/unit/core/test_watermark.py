"""The watermark: lateness must be the same on every run and engine, and one wrong clock must not end anybody's window."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from weft.core.times import SECOND_US
from weft.core.watermark import BEGINNING, MAX_AHEAD_US, max_time_us, watermark_after_us, watermarks_us
from weft.testing.factories import NOON_US, make_log_batch

BOUND_US = 5 * SECOND_US
around_noon = st.integers(NOON_US - 10**9, NOON_US + MAX_AHEAD_US * 2)


@given(st.lists(around_noon, min_size=1, max_size=20), st.one_of(st.none(), around_noon))
def test_before_each_event_it_is_the_largest_counted_time_below_less_the_bound(times: list[int], before: int | None) -> None:
    batch = make_log_batch(len(times), times_us=times, max_time_before_us=before)
    seen = BEGINNING if before is None else before
    expected: list[int] = []
    for time_us in times:
        expected.append(seen - BOUND_US)
        if time_us <= NOON_US + MAX_AHEAD_US:
            seen = max(seen, time_us)
    assert watermarks_us(batch, BOUND_US).tolist() == expected
    assert watermark_after_us(batch, BOUND_US) == seen - BOUND_US


def test_splitting_a_batch_moves_no_watermark() -> None:
    times = [NOON_US + n * 7919 % 1000 for n in range(50)]
    whole = watermarks_us(make_log_batch(50, times_us=times), BOUND_US).tolist()
    parts: list[int] = []
    before: int | None = None
    for start in range(0, 50, 7):
        batch = make_log_batch(len(times[start : start + 7]), times_us=times[start : start + 7], max_time_before_us=before)
        parts += watermarks_us(batch, BOUND_US).tolist()
        before = watermark_after_us(batch, 0)
    assert parts == whole


def test_a_clock_a_year_ahead_moves_nobody_elses_time() -> None:
    year_us = 365 * 86_400 * SECOND_US
    assert max_time_us(np.array([NOON_US, NOON_US + year_us]), NOON_US) == NOON_US
    assert max_time_us(np.array([NOON_US + year_us]), NOON_US) is None
