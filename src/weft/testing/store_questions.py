"""The part of the store suite that asks: every kind of question, compared with the plain model."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal

import pytest

from weft.core.errors import Invalid
from weft.core.event import Event, EventRow
from weft.core.times import HOUR_US
from weft.store.port import EventStore
from weft.store.query import Aggregate, Filter, Metric, Select, Series, Trend
from weft.testing.factories import NOON_US, make_log_batch, make_row
from weft.testing.store_model import StoreModel

FILTERS: Final = [
    Filter(),
    Filter(topic="elsewhere"),
    Filter(start_us=NOON_US + HOUR_US),
    Filter(start_us=NOON_US, end_us=NOON_US + 2 * HOUR_US),
    Filter(types=("error",)),
    Filter(types=("error", "metric", "unheard.of")),
    Filter(types=()),
    Filter(sources=("s1", "s2")),
    Filter(severities=("high",)),
    Filter(user_ids=("u3", "u4")),
    Filter(subject="door"),
    Filter(session_id="x' OR 1=1 --"),
    Filter(correlation_id="c1"),
    Filter(tag="b"),
    Filter(data=(("value", 3.0),)),
    Filter(data=(("nested.name", "one"),)),
    Filter(data=(("flag", True),)),
    Filter(data=(("value", "3"),)),
    Filter(types=("custom",), sources=("s1",), data=(("flag", False),), start_us=NOON_US),
]


METRICS: Final[tuple[Metric, ...]] = ("count", "sum", "avg", "min", "max", "p95", "distinct")
GROUPINGS: Final[list[tuple[str, ...]]] = [
    (),
    ("type",),
    ("source", "severity"),
    ("user_id",),
    ("hour",),
    ("day", "type"),
    ("interval",),
    ("data.nested.name",),
]
SENSELESS: Final = [
    Aggregate(filter=Filter(), group_by=("colour",)),
    Aggregate(filter=Filter(), group_by=('data.a"; DROP TABLE x; --',)),
    Aggregate(filter=Filter(), group_by=("data." + "a" * 300,)),
    Aggregate(filter=Filter(), metric="avg"),
    Aggregate(filter=Filter(), metric="avg", field="source"),
    Aggregate(filter=Filter(), metric="distinct", field="nothing"),
    Aggregate(filter=Filter(), group_by=("interval",)),
    Aggregate(filter=Filter(), group_by=("data.n",), limit=50),
    Aggregate(filter=Filter(start_us=5, end_us=4)),
    Aggregate(filter=Filter(data=(("a'b", 1.0),))),
]


def some_rows() -> list[EventRow]:
    """Events of many kinds."""
    values = [1, 2.5, 3, "3", None, True, -4e3, 1e300]
    return [
        make_row(
            n,
            type=("error", "metric", "custom")[n % 3],
            source=f"s{n % 4}",
            severity=("low", "medium", "high", "critical")[n % 7 % 4],
            user_id=None if n % 5 == 0 else f"u{n % 6}",
            subject="door" if n % 4 == 0 else None,
            session_id="x' OR 1=1 --" if n % 11 == 0 else None,
            correlation_id=f"c{n % 3}" if n % 2 else None,
            tags=("a", "b") if n % 3 == 0 else (),
            data={"value": values[n % len(values)], "flag": n % 2 == 0, "nested": {"name": ("one", "two")[n % 2]}, "n": n},
        )
        for n in range(120)
    ]


class StoreQuestions:
    """What every event store promises about its answers."""

    @pytest.fixture
    async def filled(
        self, open_store: Callable[[], AbstractAsyncContextManager[EventStore]]
    ) -> AsyncIterator[tuple[EventStore, StoreModel]]:
        """A store with 120 events over five hours, half of them from before a restart, and the model with the same."""
        model = StoreModel()
        rows = some_rows()
        times = [NOON_US + (n * 37 % 120) * 150_000_000 for n in range(120)]
        first = make_log_batch(rows[:60], times_us=times[:60])
        second = make_log_batch(rows[60:], times_us=times[60:], first_offset=60)
        async with open_store() as store:
            await store.write([first])
        async with open_store() as store:
            await store.write([first, second])
            model.add(first)
            model.add(second)
            yield store, model

    @pytest.mark.parametrize("order", ["asc", "desc"])
    async def test_a_page_holds_exactly_the_matching_events_in_order(
        self, filled: tuple[EventStore, StoreModel], order: Literal["asc", "desc"]
    ) -> None:
        store, model = filled
        for asked in FILTERS:
            select = Select(filter=asked, limit=1000, order=order, with_total=True)
            page = await store.select(select)
            assert list(page.events) == model.select(select), asked
            assert (page.total, page.cursor) == (len(page.events), None), asked

    async def test_an_event_at_the_end_of_a_range_is_not_in_it(self, filled: tuple[EventStore, StoreModel]) -> None:
        store, model = filled
        time_us = model.events[5].time_us
        before = await store.select(Select(filter=Filter(end_us=time_us)))
        at = await store.select(Select(filter=Filter(start_us=time_us, end_us=time_us + 1)))
        assert all(event.time_us < time_us for event in before.events)
        assert list(at.events) == [model.events[5]]

    @pytest.mark.parametrize("order", ["asc", "desc"])
    async def test_paging_by_cursor_gives_everything_once(
        self, filled: tuple[EventStore, StoreModel], order: Literal["asc", "desc"]
    ) -> None:
        store, model = filled
        seen: list[Event] = []
        cursor = None
        while True:
            select = Select(filter=Filter(types=("error",)), limit=7, order=order, after=cursor)
            page = await store.select(select)
            seen += page.events
            cursor = page.cursor
            if cursor is None:
                break
        assert seen == model.select(Select(filter=Filter(types=("error",)), limit=1000, order=order))

    async def test_what_arrives_later_moves_nobody_who_pages_by_cursor(self, filled: tuple[EventStore, StoreModel]) -> None:
        store, model = filled
        first = await store.select(Select(filter=Filter(), limit=10))
        await store.write([make_log_batch(5, first_offset=120, times_us=[NOON_US + 100 * HOUR_US + n for n in range(5)])])
        second = await store.select(Select(filter=Filter(), limit=10, after=first.cursor))
        assert [*first.events, *second.events] == model.select(Select(filter=Filter(), limit=20))

    async def test_paging_by_skip_gives_the_same_events(self, filled: tuple[EventStore, StoreModel]) -> None:
        store, model = filled
        for skip in (0, 9, 111, 119, 120, 500):
            select = Select(filter=Filter(), limit=10, skip=skip)
            assert list((await store.select(select)).events) == model.select(select)

    async def test_events_of_one_time_are_ordered_and_paged_by_id_then_source(
        self, open_store: Callable[[], AbstractAsyncContextManager[EventStore]]
    ) -> None:
        rows = [make_row(n, id=f"i{n // 2}", source=f"s{n % 2}") for n in range(20)]
        batch = make_log_batch(rows, times_us=[NOON_US] * 20)
        async with open_store() as store:
            await store.write([batch])
            seen: list[tuple[str, str]] = []
            cursor = None
            while True:
                page = await store.select(Select(filter=Filter(), limit=3, order="asc", after=cursor))
                seen += [(event.id, event.source) for event in page.events]
                cursor = page.cursor
                if cursor is None:
                    break
        assert seen == sorted((row.id or "", row.source) for row in rows)

    async def test_a_cursor_that_the_store_did_not_make_is_refused(self, filled: tuple[EventStore, StoreModel]) -> None:
        store, _ = filled
        good = (await store.select(Select(filter=Filter(), limit=5))).cursor or ""
        for text in ("", "nonsense", "ÄÖÜ", good[:-2], good[::-1], good + "AAAA", "A" * 4000):
            with pytest.raises(Invalid):
                await store.select(Select(filter=Filter(), limit=5, after=text))
        with pytest.raises(Invalid):
            await store.select(Select(filter=Filter(), limit=5, after=good, order="asc"))

    async def test_an_unknown_id_is_none(self, filled: tuple[EventStore, StoreModel]) -> None:
        store, model = filled
        known = model.events[3].id
        assert await store.get("no-such-id") is None
        assert await store.get(known, source="no-such-source") is None
        assert await store.get(known[:-1] + ("0" if known[-1] != "0" else "1")) in (None, *model.events)

    async def test_every_event_is_found_by_its_id(self, filled: tuple[EventStore, StoreModel]) -> None:
        store, model = filled
        for event in model.events[::7]:
            assert await store.get(event.id) == event
            assert await store.get(event.id, source=event.source) == event

    async def test_of_one_id_from_several_sources_the_newest_is_given(
        self, open_store: Callable[[], AbstractAsyncContextManager[EventStore]]
    ) -> None:
        rows = [make_row(n, id="same", source=f"s{n}") for n in range(3)]
        batch = make_log_batch(rows, times_us=[NOON_US + 5, NOON_US + 9 * HOUR_US, NOON_US])
        async with open_store() as store:
            await store.write([batch])
        async with open_store() as store:
            await store.write([batch])
            newest, oldest = await store.get("same"), await store.get("same", source="s2")
            assert newest is not None
            assert oldest is not None
            assert (newest.source, oldest.source) == ("s1", "s2")

    @pytest.mark.parametrize("metric", METRICS)
    async def test_an_aggregation_equals_the_plain_computation(
        self, filled: tuple[EventStore, StoreModel], metric: Metric
    ) -> None:
        store, model = filled
        for group_by in GROUPINGS:
            asked = Aggregate(
                filter=Filter(start_us=NOON_US + 1000, end_us=NOON_US + 4 * HOUR_US),
                metric=metric,
                field="data.n" if metric != "count" else None,
                group_by=group_by,
                interval_us=7_000_000_000,
            )
            got, expected = await store.aggregate(asked), model.aggregate(asked)
            assert [group.keys for group in got] == [group.keys for group in expected], group_by
            assert [group.value for group in got] == pytest.approx([group.value for group in expected]), group_by

    async def test_values_that_are_no_finite_number_are_left_out(self, filled: tuple[EventStore, StoreModel]) -> None:
        store, model = filled
        for metric in METRICS:
            asked = Aggregate(filter=Filter(), metric=metric, field="data.value", group_by=("type",))
            got, expected = await store.aggregate(asked), model.aggregate(asked)
            assert [group.value for group in got] == pytest.approx([group.value for group in expected]), metric

    async def test_groups_keep_the_kind_of_their_keys_and_none_is_last(self, filled: tuple[EventStore, StoreModel]) -> None:
        store, model = filled
        asked = Aggregate(filter=Filter(), group_by=("data.value",))
        groups = await store.aggregate(asked)
        assert list(groups) == model.aggregate(asked)
        assert groups[-1].keys == (None,)
        assert {type(group.keys[0]) for group in groups} >= {int, float, str, bool}

    async def test_an_aggregation_that_makes_no_sense_is_refused(self, filled: tuple[EventStore, StoreModel]) -> None:
        store, _ = filled
        for asked in SENSELESS:
            with pytest.raises(Invalid):
                await store.aggregate(asked)

    async def test_a_trend_counts_events_users_and_errors_per_interval(self, filled: tuple[EventStore, StoreModel]) -> None:
        store, model = filled
        for interval_us in (HOUR_US, 7_000_000_000):
            asked = Trend(filter=Filter(start_us=NOON_US + 1, end_us=NOON_US + 3 * HOUR_US), interval_us=interval_us)
            assert list(await store.trend(asked)) == model.trend(asked)

    async def test_a_series_has_min_max_avg_last_and_count_of_each_bucket(self, filled: tuple[EventStore, StoreModel]) -> None:
        store, model = filled
        for buckets in (1, 7, 1000):
            asked = Series(filter=Filter(start_us=NOON_US, end_us=NOON_US + 5 * HOUR_US), field="data.n", buckets=buckets)
            got, expected = await store.series(asked), model.series(asked)
            assert got.avg == pytest.approx(expected.avg)
            assert (got.bucket_us, got.start_us, got.min, got.max, got.last, got.count) == (
                expected.bucket_us,
                expected.start_us,
                expected.min,
                expected.max,
                expected.last,
                expected.count,
            )

    async def test_a_series_without_both_ends_is_refused(self, filled: tuple[EventStore, StoreModel]) -> None:
        store, _ = filled
        for asked in (Filter(), Filter(start_us=1), Filter(end_us=1)):
            with pytest.raises(Invalid):
                await store.series(Series(filter=asked, field="data.n", buckets=10))
