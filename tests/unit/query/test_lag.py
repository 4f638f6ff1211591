"""The lag check knows for how long the store has been behind, not only by how much."""

from weft.core.verdict import Finding, Level
from weft.log.port import LogState, PartitionState
from weft.query.checks import Lag
from weft.query.settings import QuerySettings
from weft.store.query import StoreState, TopicCount


class Pair:
    """A log and a store of which only the two ends are interesting."""

    def __init__(self) -> None:
        self.lag = Lag(QuerySettings(lag_look_s=60, lag_act_s=600))

    def look(self, *, end: int, position: int, at_s: float, start: int = 0) -> Finding:
        log = PartitionState("events", 0, start, end, end, 0, 0, 0, None, None)
        held = TopicCount(
            topic="events", partition=0, position=position, flushed_position=0, stored_total=position, repeats_total=0
        )
        store = StoreState(
            topics=[held], events=0, size_bytes=0, files=0, tail_events=0, tail_bytes=0, oldest_us=None, newest_us=None
        )
        return self.lag.finding(store, LogState(partitions=[log], size_bytes=0), at_s)


def test_a_store_that_keeps_up_is_fine() -> None:
    pair = Pair()

    for second in range(0, 1000, 10):
        finding = pair.look(end=second * 100, position=second * 100 - min(second, 50), at_s=second)
        assert finding.level is Level.FINE, finding.why


def test_a_store_that_stands_still_is_looked_at_and_then_acted_on() -> None:
    pair = Pair()
    pair.look(end=100, position=100, at_s=0)
    pair.look(end=200, position=100, at_s=10)

    assert pair.look(end=300, position=100, at_s=60).level is Level.FINE
    behind = pair.look(end=400, position=100, at_s=80)
    assert behind.level is Level.LOOK
    assert behind.parameters == {"behind_events": 300, "behind_s": 70}
    assert pair.look(end=400, position=100, at_s=700).level is Level.ACT


def test_a_store_that_caught_up_is_fine_again() -> None:
    pair = Pair()
    pair.look(end=200, position=100, at_s=0)
    assert pair.look(end=200, position=100, at_s=100).level is Level.LOOK

    assert pair.look(end=300, position=200, at_s=101).level is Level.FINE
    assert pair.look(end=300, position=300, at_s=102).parameters["behind_events"] == 0


def test_what_was_trimmed_is_not_waited_for() -> None:
    pair = Pair()
    pair.look(end=100, position=0, start=100, at_s=0)

    assert pair.look(end=100, position=0, start=100, at_s=1000).parameters["behind_events"] == 0
