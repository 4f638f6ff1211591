"""On random events every question has the answer that plain Python gives: whether they lie in memory, in files or in both, and
in PostgreSQL."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weft.core.times import HOUR_US
from weft.store.parquet import ParquetStore
from weft.store.postgres import PostgresStore
from weft.store.query import Aggregate, Filter, Select, Series, Trend
from weft.store.settings import StoreSettings
from weft.testing.clock import ManualClock
from weft.testing.factories import NOON_US, make_log_batch, make_row
from weft.testing.store_model import StoreModel

T = TypeVar("T")

texts = st.sampled_from(["a", "b", "", "ä'\"", "a\\b", "zz %_"])
numbers = st.integers(-5, 5) | st.sampled_from([0.5, 2.0, 1e15, -1e-9, 2**53 + 1])
values = st.none() | st.booleans() | numbers | texts | st.lists(st.integers(0, 2), max_size=2)
names = st.sampled_from(["x", "y", "z"])
# Inside an object its own text is the key of a group: jsonb orders names and writes 1e15 out.
plain = values.filter(lambda value: value != 1e15)
inner = st.dictionaries(names, plain, max_size=2).map(lambda content: dict(sorted(content.items())))
data = st.dictionaries(names, values | inner, max_size=3)
times = st.integers(-3, 40).map(lambda step: NOON_US + step * HOUR_US // 7) | st.just(-HOUR_US - 1)
rows = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["error", "metric", "custom"]),
        "source": st.sampled_from(["s1", "s2", "söurce 3"]),
        "severity": st.sampled_from(["low", "medium", "high"]),
        "user_id": st.none() | st.sampled_from(["u1", "u2", "u3"]),
        "tags": st.lists(st.sampled_from(["red", "blue"]), max_size=2).map(tuple),
        "data": data,
    }
)
batches = st.lists(st.lists(st.tuples(rows, times), min_size=1, max_size=15), min_size=1, max_size=4)
ranges = st.tuples(st.none() | times, st.none() | times).map(
    lambda ends: ends if None in ends else tuple(sorted(ends))  # type: ignore[type-var]  (no None left to compare)
)
fields = st.sampled_from(["data.x", "data.y", "data.x.y", "data.z.z"])
keys = st.sampled_from(["type", "source", "severity", "user_id", "hour", "day", "interval"]) | fields


@st.composite
def filters(draw: Callable[..., Any]) -> Filter:
    start_us, end_us = draw(ranges)
    return Filter(
        start_us=start_us,
        end_us=end_us,
        types=draw(st.none() | st.just(("error", "metric"))),
        sources=draw(st.none() | st.just(("s1",))),
        tag=draw(st.none() | st.just("red")),
        data=draw(
            st.just(()) | st.tuples(st.tuples(st.sampled_from(["x", "y.x"]), numbers.map(float) | texts | st.booleans()))
        ),
    )


class Bench:
    """One open store for many examples: each has a topic of its own."""

    def __init__(self, store: ParquetStore | PostgresStore) -> None:
        self.loop = asyncio.new_event_loop()
        self.store = store
        self.loop.run_until_complete(self.store.__aenter__())
        self.examples = 0

    def close(self) -> None:
        self.loop.run_until_complete(self.store.__aexit__(None, None, None))
        self.loop.close()

    def fill(self, content: Any, flush_after: set[int]) -> tuple[str, StoreModel]:
        """Store an example; returns its topic and the model of it."""
        self.examples += 1
        topic = f"example-{self.examples}"
        model = StoreModel()
        offset = 0
        for number, entries in enumerate(content):
            events = [make_row(n, **fields) for n, (fields, _) in enumerate(entries)]
            batch = make_log_batch(events, topic=topic, first_offset=offset, times_us=[time_us for _, time_us in entries])
            offset += len(events)
            model.add(batch)
            self.run(self.store.write([batch]))
            if number in flush_after and isinstance(self.store, ParquetStore):
                self.run(self.store.flush())
        if len(flush_after) > 2 and isinstance(self.store, ParquetStore):
            self.run(self.store.tidy())
        return topic, model

    def run(self, asked: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asked)


@pytest.fixture(scope="module", params=["parquet", "postgres"])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    settings = StoreSettings(compact_files=2, flush_age_s=3600, tidy_every_s=3600)
    if request.param == "parquet":
        url = f"parquet://{tmp_path_factory.mktemp('answers')}"
        bench = Bench(ParquetStore(url, settings=settings, clock=ManualClock()))
    else:
        url = request.getfixturevalue("postgres_server").create_database()
        bench = Bench(PostgresStore(url, settings=settings, clock=ManualClock()))
    yield bench
    bench.close()


def close(got: list[Any], expected: list[Any]) -> bool:
    return len(got) == len(expected) and all(
        one == other or (one is not None and other is not None and abs(one - other) <= 1e-9 * max(1, abs(one), abs(other)))
        for one, other in zip(got, expected, strict=True)
    )


quick = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
moments = st.sets(st.integers(0, 3))


@quick
@given(batches, moments, filters(), st.sampled_from(["asc", "desc"]), st.integers(8, 30))
def test_pages_hold_the_matching_events_in_order(bench: Bench, content, flush_after, asked, order, limit) -> None:
    topic, model = bench.fill(content, flush_after)
    asked = replace(asked, topic=topic)
    expected = model.select(Select(filter=asked, limit=10_000, order=order))
    seen, cursor = [], None
    while True:
        page = bench.run(bench.store.select(Select(filter=asked, limit=limit, order=order, after=cursor, with_total=True)))
        seen += page.events
        cursor = page.cursor
        assert page.total == len(expected)
        if cursor is None:
            break
    assert seen == expected
    for event in model.events[:3]:
        assert bench.run(bench.store.get(event.id)) == event


@quick
@given(
    batches,
    moments,
    filters(),
    st.sampled_from(["count", "sum", "avg", "min", "max", "p95", "distinct"]),
    fields,
    st.lists(keys, max_size=2, unique=True).map(tuple),
    st.sampled_from([1, HOUR_US, 3 * HOUR_US, 1_000_003]),
)
def test_aggregations_equal_the_plain_computation(
    bench: Bench, content, flush_after, asked, metric, field, group_by, interval_us
) -> None:
    topic, model = bench.fill(content, flush_after)
    for of in [field, None] if metric == "count" else [field]:
        question = Aggregate(
            filter=replace(asked, topic=topic), metric=metric, field=of, group_by=group_by, interval_us=interval_us
        )
        got, expected = bench.run(bench.store.aggregate(question)), model.aggregate(question)
        assert [group.keys for group in got] == [group.keys for group in expected]
        assert close([group.value for group in got], [group.value for group in expected])


@quick
@given(batches, moments, filters(), fields, st.integers(1, 50), st.sampled_from([HOUR_US, 1_000_003]))
def test_trends_and_series_equal_the_plain_computation(
    bench: Bench, content, flush_after, asked, field, buckets, interval_us
) -> None:
    topic, model = bench.fill(content, flush_after)
    asked = replace(asked, topic=topic)
    trend = Trend(filter=asked, interval_us=interval_us)
    assert list(bench.run(bench.store.trend(trend))) == model.trend(trend)
    if asked.start_us is None or asked.end_us is None or asked.start_us == asked.end_us:
        return
    series = Series(filter=asked, field=field, buckets=buckets)
    got, expected = bench.run(bench.store.series(series)), model.series(series)
    assert (got.start_us, got.count, got.min, got.max, got.last) == (
        expected.start_us,
        expected.count,
        expected.min,
        expected.max,
        expected.last,
    )
    assert close(got.avg, expected.avg)
