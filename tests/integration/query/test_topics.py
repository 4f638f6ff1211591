"""Topics: what the log holds, and reading it raw."""

from typing import Any

from weft.core.position import TopicPartition
from weft.core.times import SECOND_US
from weft.testing.factories import NOON_US, make_row


async def test_topics_tell_their_offsets_totals_and_the_lag_of_every_group(lab: Any) -> None:
    await lab.append(5)
    await lab.append(3, topic="lab.temperature")
    await lab.log.commit("store", {TopicPartition("events", 0): 2})

    body = await lab.get("/api/v1/topics")

    topics = {topic["topic"]: topic for topic in body["data"]}
    assert set(topics) == {"events", "lab.temperature"}
    assert topics["events"]["events_total"] == 5
    assert topics["events"]["lag"] == {"store": 3}
    (partition,) = topics["events"]["partitions"]
    assert (partition["start_offset"], partition["end_offset"], partition["positions"]) == (0, 5, {"store": 2})
    assert topics["lab.temperature"]["lag"] == {}
    assert await lab.get("/api/v1/topics/events") == topics["events"]
    assert (await lab.refused("/api/v1/topics/nothing", 404))["error"] == "NotFound"
    assert (await lab.stranger.get("/api/v1/topics")).status_code == 401


async def test_a_raw_read_gives_what_stands_in_the_log_and_where_to_go_on(lab: Any) -> None:
    ids = await lab.append([make_row(n, data={"n": n}) for n in range(10)], times_us=[NOON_US + n for n in range(10)])
    await lab.append(1)

    body = await lab.get("/api/v1/topics/events/events", partition=0, offset=4, limit=3)

    assert [event["id"] for event in body["data"]] == ids[4:7]
    assert [event["offset"] for event in body["data"]] == [4, 5, 6]
    assert [event["data"]["n"] for event in body["data"]] == [4, 5, 6]
    assert (body["next_offset"], body["end_offset"]) == (7, 11)
    rest = await lab.get("/api/v1/topics/events/events", offset=7)
    assert (len(rest["data"]), rest["next_offset"]) == (4, 11)
    end = await lab.get("/api/v1/topics/events/events", offset=11)
    assert (end["data"], end["next_offset"]) == ([], 11)


async def test_a_raw_read_steps_over_ticks(lab: Any) -> None:
    await lab.append(2)
    await lab.log.tick("events", NOON_US + 10 * SECOND_US)
    await lab.append(2)

    body = await lab.get("/api/v1/topics/events/events")

    assert [event["offset"] for event in body["data"]] == [0, 1, 3, 4]


async def test_a_raw_read_that_cannot_be_is_refused(lab: Any) -> None:
    await lab.append(1)

    await lab.refused("/api/v1/topics/events/events", 404, partition=7)
    for parameters in ({"partition": -1}, {"offset": -1}, {"limit": 0}, {"limit": 1001}, {"ofset": 1}):
        body = await lab.refused("/api/v1/topics/events/events", 422, **parameters)
        assert body["details"]["field"] == next(iter(parameters))
