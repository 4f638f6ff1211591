"""Metrics of this process, in the words of Prometheus.

Counting is a dictionary and an addition; what Prometheus wants to read is built when it asks.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import psutil
from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

FAILED_FROM: Final = 500
"""Answers from this status on are failures of ours."""
BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BOUNDS: Final = (*(str(bound) for bound in BUCKETS_S), "+Inf")

Reading = Callable[[], Iterable[tuple[tuple[str, ...], float]]]
"""What a gauge or counter shows: label values and a number each, read when Prometheus asks."""


class Durations:
    """A histogram of seconds."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * len(_BOUNDS)
        self.sum_s = 0.0

    def observe(self, duration_s: float, times: int = 1) -> None:
        """Count `times` things that took this long each."""
        self.counts[bisect_left(BUCKETS_S, duration_s)] += times
        self.sum_s += duration_s * times

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bounds and how many were at or below each."""
        total = 0
        told: list[tuple[str, float]] = []
        for bound, number in zip(_BOUNDS, self.counts, strict=True):
            total += number
            told.append((bound, total))
        return told


class RouteMeter:
    """Counts the requests of one method and route template."""

    __slots__ = ("durations", "statuses")

    def __init__(self) -> None:
        self.statuses: defaultdict[int, int] = defaultdict(int)
        self.durations = Durations()

    def observe(self, status: int, duration_s: float) -> None:
        """One request was answered."""
        self.statuses[status] += 1
        self.durations.observe(duration_s)


class Metrics:
    """The metrics of one process, with a registry of their own. `prefix` is the first word of every name."""

    def __init__(self, prefix: str = "weft") -> None:
        self.prefix = prefix
        self.registry = CollectorRegistry(auto_describe=False)
        self.active_connections = 0
        """Open WebSockets."""
        self._events: dict[tuple[str, str], int] = {}
        self._events_durations = Durations()
        self._meters: dict[tuple[str, str], RouteMeter] = {}
        self.registry.register(_Counted(self.collect))
        self.registry.register(_Counted(lambda: host_metrics(prefix)))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def count_events(self, topic: str, outcome: str, number: int, duration_s: float | None = None) -> None:
        """`number` events of a topic met an outcome (`accepted`, `repeat`, `rejected`, …), each after `duration_s` seconds.

        Topics must be known ones: every label value stays for the life of the process.
        """
        key = (topic, outcome)
        self._events[key] = self._events.get(key, 0) + number
        if duration_s is not None:
            self._events_durations.observe(duration_s, number)

    def meter(self, method: str, route: str) -> RouteMeter:
        """The meter of a method and a route template; `route` must come from a bounded set."""
        key = (method, route)
        found = self._meters.get(key)
        if found is None:
            found = self._meters[key] = RouteMeter()
        return found

    def answers(self) -> tuple[int, int]:
        """How many requests were answered so far, and how many of them with 500 or above."""
        totals = [(status, number) for meter in list(self._meters.values()) for status, number in meter.statuses.items()]
        return sum(number for _, number in totals), sum(number for status, number in totals if status >= FAILED_FROM)

    def add_gauge(self, name: str, what: str, labels: Sequence[str], read: Reading) -> None:
        """Show numbers that live elsewhere, such as `queue_depth` of the log."""
        self.registry.register(_Counted(lambda: [_read_into(GaugeMetricFamily(self._name(name), what, labels=labels), read)]))

    def add_counter(self, name: str, what: str, labels: Sequence[str], read: Reading) -> None:
        """Show counts that live elsewhere; `name` ends in `_total`."""
        self.registry.register(_Counted(lambda: [_read_into(CounterMetricFamily(self._name(name), what, labels=labels), read)]))

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """What Prometheus reads, and its content type (plain text, or OpenMetrics for who accepts it)."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def collect(self) -> Iterable[Metric]:
        """The metrics counted here."""
        events = CounterMetricFamily(self._name("events_total"), "Events by what became of them.", labels=["topic", "outcome"])
        for labels, number in list(self._events.items()):
            events.add_metric(labels, number)
        yield events
        yield HistogramMetricFamily(
            self._name("events_duration_seconds"),
            "Seconds from an event's arrival to its answer.",
            buckets=self._events_durations.buckets(),
            sum_value=self._events_durations.sum_s,
        )
        yield GaugeMetricFamily(self._name("active_connections"), "Open WebSockets.", value=self.active_connections)
        requests = CounterMetricFamily(
            self._name("http_requests_total"), "HTTP requests answered.", labels=["method", "route", "status"]
        )
        durations = HistogramMetricFamily(
            self._name("http_request_duration_seconds"), "Seconds until an answer was sent.", labels=["method", "route"]
        )
        for (method, route), meter in list(self._meters.items()):
            for status, number in list(meter.statuses.items()):
                requests.add_metric((method, route, str(status)), number)
            durations.add_metric((method, route), buckets=meter.durations.buckets(), sum_value=meter.durations.sum_s)
        yield requests
        yield durations

    def _name(self, name: str) -> str:
        return f"{self.prefix}_{name}"


class _Counted(Collector):
    """A collector that is a function."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        return []


def host_metrics(prefix: str) -> Iterable[Metric]:
    """The machine this process runs on."""
    memory = psutil.virtual_memory()
    yield GaugeMetricFamily(f"{prefix}_host_memory_total_bytes", "Memory of this machine.", value=memory.total)
    yield GaugeMetricFamily(
        f"{prefix}_host_memory_available_bytes", "Memory that programs can still get.", value=memory.available
    )
    yield GaugeMetricFamily(f"{prefix}_host_load1", "Runnable tasks, averaged over 1 minute.", value=psutil.getloadavg()[0])
    yield GaugeMetricFamily(f"{prefix}_host_processors", "Logical processors of this machine.", value=psutil.cpu_count() or 1)
    spent = CounterMetricFamily(f"{prefix}_host_cpu_seconds_total", "Seconds the processors spent, by mode.", labels=["mode"])
    times = psutil.cpu_times()
    for mode in ("user", "system", "idle"):
        spent.add_metric((mode,), getattr(times, mode))
    yield spent


def _read_into(family: GaugeMetricFamily | CounterMetricFamily, read: Reading) -> Metric:
    for labels, number in read():
        family.add_metric(labels, number)
    return family
