"""Tally: what this process has computed so far, for Prometheus and the verdict."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from weft.api.metrics import Metrics
from weft.stream.lineup import Outcome
from weft.stream.state import Figure

Numbers = Iterable[tuple[tuple[str, ...], float]]


class Tally:
    """Counters since the process began. `failures` says of each topic that is not computed here why."""

    def __init__(self, metrics: Metrics) -> None:
        self.failures: dict[str, str] = {}
        self.lag: dict[str, int] = {}
        self.state_bytes: dict[str, int] = {}
        self.figures: dict[str, Mapping[str, Figure]] = {}
        self._events: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._results: defaultdict[str, int] = defaultdict(int)
        self._add(metrics)

    def count(self, topic: str, events: int, outcome: Outcome) -> None:
        """A batch was taken in."""
        self._events[topic, "taken"] += events
        self._events[topic, "late"] += len(outcome.late)
        self._events[topic, "refused"] += outcome.refused
        for result in outcome.results:
            self._results[result.query] += 1

    def count_unreadable(self, topic: str, events: int) -> None:
        """A batch could not be read."""
        self._events[topic, "unreadable"] += events

    def events_of(self, topic: str) -> int:
        """How many events of a topic were taken in."""
        return self._events.get((topic, "taken"), 0)

    def saved(self, topic: str, size_bytes: int, figures: Mapping[str, Figure]) -> None:
        """A state was saved."""
        self.state_bytes[topic] = size_bytes
        self.figures[topic] = figures

    def left(self, topic: str) -> None:
        """This process computes a topic no longer."""
        for numbers in (self.lag, self.state_bytes, self.figures):
            numbers.pop(topic, None)

    def _add(self, metrics: Metrics) -> None:
        def events() -> Numbers:
            return [(labels, number) for labels, number in list(self._events.items()) if labels[1] != "late"]

        def late() -> Numbers:
            return [((topic,), number) for (topic, what), number in list(self._events.items()) if what == "late"]

        metrics.add_counter(
            "stream_events_total", "Events that continuous queries read, by what became of them.", ("topic", "outcome"), events
        )
        metrics.add_counter("stream_late_total", "Events that came too late for a continuous query.", ("topic",), late)
        metrics.add_counter(
            "stream_results_total",
            "Results of continuous queries.",
            ("query",),
            lambda: [((query,), number) for query, number in list(self._results.items())],
        )
        metrics.add_gauge(
            "stream_lag",
            "Offsets that continuous queries have still to read.",
            ("topic",),
            lambda: [((topic,), lag) for topic, lag in list(self.lag.items())],
        )
        metrics.add_gauge(
            "stream_state_bytes",
            "Bytes of state of continuous queries in memory.",
            ("topic",),
            lambda: [((topic,), size) for topic, size in list(self.state_bytes.items())],
        )
