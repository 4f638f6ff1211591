"""Runs: what follows in the log is taken as one, and nothing else is, or offsets would name the wrong events."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.core.batch import LogBatch
from weft.core.event import EventRow
from weft.core.watermark import watermarks_us
from weft.stream.runs import joined, runs
from weft.testing.factories import NOON_US, make_log_batch, make_row


def batches_of(sizes: list[int]) -> list[LogBatch]:
    """Batches that follow each other, of so many events."""
    found: list[LogBatch] = []
    offset, newest_us = 7, None
    for size in sizes:
        rows: list[EventRow] = [make_row(offset + at) for at in range(size)]
        times = [NOON_US + (offset + at) * 7_919 % 1_000 for at in range(size)]
        found.append(make_log_batch(rows, first_offset=offset, times_us=times, max_time_before_us=newest_us))
        offset, newest_us = offset + size, max(*times, newest_us or 0, NOON_US)
    return found


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_a_run_says_of_every_event_what_its_batch_says(sizes: list[int]) -> None:
    batches = batches_of(sizes)
    ((*run,),) = runs(batches)
    whole = joined(run)
    assert (whole.first_offset, whole.next_offset) == (batches[0].first_offset, batches[-1].next_offset)
    assert whole.event_rows == [row for batch in batches for row in batch.event_rows]
    ids = [event_id for batch in batches for event_id in batch.ids]
    assert list(whole.ids) == ids
    assert [whole.ids[at] for at in range(len(whole.ids))] == ids
    assert whole.ids[1:-1] == ids[1:-1]
    assert whole.received_at_us.tolist() == [time_us for batch in batches for time_us in batch.received_at_us.tolist()]
    marks = [mark for batch in batches for mark in watermarks_us(batch, 3).tolist()]
    assert watermarks_us(whole, 3).tolist() == marks


@pytest.mark.parametrize(
    "changed",
    [{"partition": 1}, {"topic": "others"}, {"first_offset": 100}, {"tick_us": NOON_US, "rows": b""}],
    ids=["partition", "topic", "gap", "tick"],
)
def test_what_does_not_follow_stands_alone(changed: dict[str, object]) -> None:
    first, second, third = batches_of([2, 2, 2])
    other = replace(second, **changed)
    assert list(runs([first, other, third])) == [[first], [other], [third]]


def test_a_run_is_no_longer_than_what_is_well_decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = batches_of([1] * 10)
    monkeypatch.setattr("weft.stream.runs._MOST_BYTES", 3 * len(batches[-1].rows))
    found = list(runs(batches))
    assert [batch for run in found for batch in run] == batches
    assert max(map(len, found)) == 3
