"""Events that could not be worked on are set aside, listed, and handed in again (promise P6)."""

from weft.core.position import TopicPartition
from weft.log.dead_letter import count_waiting, list_dead_letters, replay, set_aside
from weft.log.port import Log
from weft.testing.clock import ManualClock
from weft.testing.factories import make_batch, make_log_batch, make_row
from weft.testing.log_ground import ids_of, read_all

AT = TopicPartition("events", 0)


async def test_a_dead_letter_holds_the_very_bytes_the_reason_and_the_place(log: Log, clock: ManualClock) -> None:
    batch = make_log_batch([make_row(id="a"), make_row(id="b")], first_offset=40)
    await set_aside(log, batch, attempts=3, reason="not for us", clock=clock)
    (letter,) = await list_dead_letters(log)
    assert (letter.topic, letter.partition, letter.offset, letter.events) == ("events", 0, 40, 2)
    assert (letter.attempts, letter.reason, letter.rows) == (3, "not for us", batch.rows)
    assert count_waiting(await log.state()) == 1


async def test_set_aside_again_after_a_crash_it_is_one_dead_letter(log: Log, clock: ManualClock) -> None:
    for _ in range(2):
        await set_aside(log, make_log_batch(1), attempts=1, reason="poison", clock=clock)
    assert len(await list_dead_letters(log)) == 1


async def test_replayed_events_come_again_with_their_ids_and_times_though_their_ids_are_known(
    log: Log, clock: ManualClock
) -> None:
    await log.append(make_batch([make_row(id="a"), make_row(id="b")], times_us=[5, 6]))
    (batch,) = await read_all(log, AT)
    await set_aside(log, batch, attempts=1, reason="poison", clock=clock)
    assert await replay(log, clock=clock) == 2
    again = (await read_all(log, AT))[-1]
    assert (again.first_offset, list(again.ids), again.times_us.tolist()) == (2, ["a", "b"], [5, 6])
    assert again.rows == batch.rows


async def test_what_was_replayed_does_not_wait_any_more(log: Log, clock: ManualClock) -> None:
    await set_aside(log, make_log_batch(2), attempts=1, reason="poison", clock=clock)
    assert await replay(log, clock=clock) == 2
    assert await list_dead_letters(log) == []
    assert await replay(log, clock=clock) == 0
    assert len(ids_of(await read_all(log, AT))) == 2


async def test_one_topic_can_be_listed_and_replayed_alone(log: Log, clock: ManualClock) -> None:
    for topic in ("one", "two"):
        await set_aside(log, make_log_batch(1, topic=topic), attempts=1, reason=topic, clock=clock)
    assert [letter.reason for letter in await list_dead_letters(log, topic="two")] == ["two"]
    assert await replay(log, topic="one", clock=clock) == 1
    assert [letter.reason for letter in await list_dead_letters(log)] == ["two"]


async def test_no_more_than_asked_for_are_listed(log: Log, clock: ManualClock) -> None:
    for offset in range(5):
        await set_aside(log, make_log_batch(1, first_offset=offset), attempts=1, reason="poison", clock=clock)
    assert [letter.offset for letter in await list_dead_letters(log, limit=3)] == [0, 1, 2]
