"""Conservation: the books balance, and what is really lost is never explained away."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.core.position import TopicPartition
from weft.core.verdict import Level
from weft.log.port import Damage, LogState, PartitionState
from weft.query.checks import conservation_finding
from weft.query.conservation import Conservation, settle
from weft.query.dead import Dead
from weft.store.query import StoreState, TopicCount


def partition(events: int, *, topic: str = "events", number: int = 0, end: int | None = None, **more: Any) -> PartitionState:
    values: dict[str, Any] = {
        "start_offset": 0,
        "events_trimmed": 0,
        "events_erased": 0,
        "repeats_total": 0,
        "max_time_us": None,
        "appended_at_us": None,
        **more,
    }
    return PartitionState(
        topic=topic, partition=number, end_offset=events if end is None else end, events_total=events, **values
    )


def count(position: int, stored: int, *, topic: str = "events", number: int = 0, **more: Any) -> TopicCount:
    values: dict[str, Any] = {"repeats_total": 0, **more}
    return TopicCount(topic=topic, partition=number, position=position, flushed_position=0, stored_total=stored, **values)


def books(
    store: list[TopicCount], log: list[PartitionState], *, damages: list[Damage] | None = None, dead: Dead | None = None
) -> Conservation:
    state = StoreState(
        topics=store, events=0, size_bytes=0, files=0, tail_events=0, tail_bytes=0, oldest_us=None, newest_us=None
    )
    return settle(state, LogState(partitions=log, size_bytes=0, damages=damages or []), dead)


def test_what_is_stored_is_accounted_for() -> None:
    (topic,) = books([count(10, 10)], [partition(10)]).topics

    assert (topic.accepted, topic.stored, topic.in_flight, topic.difference) == (10, 10, 0, 0)


def test_what_was_carried_over_from_another_log_is_in_no_book_of_this_one() -> None:
    (topic,) = books([count(50, 50, number=-1), count(10, 10)], [partition(10)]).topics

    assert (topic.accepted, topic.stored, topic.difference) == (10, 10, 0)


def test_what_the_store_has_not_read_is_in_flight() -> None:
    (topic,) = books([count(7, 7)], [partition(10)]).topics

    assert (topic.in_flight, topic.difference) == (3, 0)


def test_a_topic_the_store_has_never_seen_is_all_in_flight() -> None:
    (topic,) = books([], [partition(5)]).topics

    assert (topic.in_flight, topic.difference) == (5, 0)


def test_ticks_are_no_events() -> None:
    (topic,) = books([count(12, 10, ticks_total=2)], [partition(10, end=14)]).topics

    assert (topic.in_flight, topic.in_flight_most, topic.difference) == (0, 2, 0)


def test_an_event_that_is_nowhere_is_the_difference_and_asks_to_act() -> None:
    found = books([count(10, 9)], [partition(10)])

    assert found.difference == 1
    finding = conservation_finding(found)
    assert finding.level is Level.ACT
    assert finding.parameters["difference_events"] == 1
    assert "events" in finding.why


def test_an_event_that_was_stored_twice_is_a_difference_too() -> None:
    assert books([count(10, 11)], [partition(10)]).topics[0].difference == -1


def test_a_surplus_in_one_topic_does_not_hide_a_loss_in_another() -> None:
    found = books([count(5, 6, topic="a"), count(5, 4, topic="b")], [partition(5, topic="a"), partition(5, topic="b")])

    assert found.difference == 2


def test_repeats_and_expired_events_have_names() -> None:
    (topic,) = books([count(10, 5, repeats_total=3, expired_total=2)], [partition(10)]).topics

    assert (topic.repeats, topic.expired, topic.difference) == (3, 2, 0)


def test_an_event_erased_in_the_log_before_the_store_read_it_is_named() -> None:
    (topic,) = books([count(10, 8, skipped_total=2)], [partition(10, events_erased=2)]).topics

    assert (topic.erased, topic.difference) == (2, 0)


def test_an_erasure_does_not_explain_a_loss_of_events_that_were_read() -> None:
    (topic,) = books([count(10, 8)], [partition(10, events_erased=5)]).topics

    assert (topic.erased, topic.difference) == (0, 2)


def test_a_skip_without_a_reason_is_a_loss() -> None:
    assert books([count(10, 8, skipped_total=2)], [partition(10)]).topics[0].difference == 2


def test_events_trimmed_before_the_store_read_them_are_lost() -> None:
    found = books([count(4, 4)], [partition(10, start_offset=6, events_trimmed=6)])

    assert found.topics[0].difference == 2, "offsets 4 and 5 can never be read any more"


def test_damage_is_named_and_asks_to_act() -> None:
    damage = Damage("events", 0, 2, 4, "checksum")
    found = books([count(10, 8, skipped_total=2)], [partition(10)], damages=[damage])

    assert (found.topics[0].damaged, found.difference) == (2, 0)
    assert conservation_finding(found).level is Level.ACT


def test_dead_letters_are_named() -> None:
    dead = Dead()
    dead.add(TopicPartition("events", 0), 3, 2)
    dead.add(TopicPartition("events", 0), 3, 2)
    (topic,) = books([count(10, 8, skipped_total=2)], [partition(10)], dead=dead).topics

    assert (topic.dead_lettered, topic.difference) == (2, 0)
    assert dead.has(TopicPartition("events", 0), 4)
    assert not dead.has(TopicPartition("events", 0), 5)


def test_dead_letters_the_log_no_longer_keeps_are_believed_up_to_what_was_skipped() -> None:
    dead = Dead(forgotten={"events"})

    assert books([count(10, 8, skipped_total=2)], [partition(10)], dead=dead).difference == 0
    assert books([count(10, 7, skipped_total=2)], [partition(10)], dead=dead).difference == 1


Counts = st.integers(0, 20)


@given(Counts, Counts, Counts, Counts, Counts, Counts, Counts, st.integers(0, 5))
def test_a_loss_is_seen_whatever_else_happened(
    stored: int, repeats: int, expired: int, ticks: int, erased: int, dead: int, unread: int, lost: int
) -> None:
    accepted = stored + repeats + expired + erased + dead + unread + lost
    position = stored + repeats + expired + ticks + erased + dead
    letters = Dead()
    if dead:
        letters.add(TopicPartition("events", 0), 0, dead)
    counted = count(
        position, stored, repeats_total=repeats, expired_total=expired, ticks_total=ticks, skipped_total=erased + dead
    )

    (topic,) = books([counted], [partition(accepted, end=position + unread, events_erased=erased)], dead=letters).topics

    assert topic.difference == lost
    names = topic.stored + topic.repeats + topic.expired + topic.late + topic.dead_lettered + topic.damaged + topic.erased
    assert topic.accepted == names + topic.in_flight + topic.difference


def test_everything_in_its_place_is_fine() -> None:
    assert conservation_finding(books([count(10, 10)], [partition(10)])).level is Level.FINE


@pytest.mark.parametrize("topics", [[], [partition(0)]])
def test_an_empty_installation_is_fine(topics: list[PartitionState]) -> None:
    assert conservation_finding(books([], topics)).level is Level.FINE
