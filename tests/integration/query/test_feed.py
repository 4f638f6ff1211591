"""The live feed of a topic: every event once, in order, whatever breaks, and nobody waits for a slow reader."""

import asyncio
import random
from pathlib import Path
from typing import Any

from tests.integration.query.browser import STREAM, Browser, Message, comes_true, none_left, numbers
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.testing.factories import make_batch, make_row


async def test_a_feed_begins_with_what_comes_from_now_on(lab: Any) -> None:
    await lab.append(3)
    browser = Browser(lab, STREAM)

    async with asyncio.timeout(10), browser.connected() as messages:
        ids = await lab.append([make_row(7, type="web.click", source="website")])
        message = await anext(messages)

    assert (message.kind, message.id) == ("message", "0:3")
    assert message.data["id"] == ids[0]
    assert (message.data["type"], message.data["source"], message.data["data"]) == ("web.click", "website", {"number": 7})
    assert (message.data["partition"], message.data["offset"], message.data["topic"]) == (0, 3, "events")
    assert (await lab.stranger.get(STREAM)).status_code == 401


async def test_a_feed_from_the_earliest_goes_through_history_into_the_present(lab: Any) -> None:
    await lab.append([make_row(n) for n in range(600)])
    browser = Browser(lab, f"{STREAM}?from=earliest")

    async with asyncio.timeout(10), browser.connected() as messages:
        seen = [await anext(messages) for _ in range(600)]
        await lab.append([make_row(n) for n in range(600, 610)])
        seen += [await anext(messages) for _ in range(10)]

    assert numbers(seen) == list(range(610))
    assert [message.id for message in seen] == [f"0:{n}" for n in range(610)]


async def test_a_feed_from_an_offset_begins_there(lab: Any) -> None:
    await lab.append([make_row(n) for n in range(20)])

    assert numbers(await Browser(lab, f"{STREAM}?from=0:17").take(3)) == [17, 18, 19]


async def test_a_reader_that_breaks_off_again_and_again_sees_every_event_once(open_lab: Any) -> None:
    async with open_lab(feed_memory_bytes=20_000, feed_chunk_bytes=2_000) as lab:
        chance = random.Random(11)
        browser = Browser(lab, f"{STREAM}?from=earliest")
        total = 1500

        async def write() -> None:
            written = 0
            while written < total:
                count = min(chance.randint(1, 40), total - written)
                await lab.append([make_row(written + n) for n in range(count)])
                written += count

        writing = asyncio.create_task(write())
        seen: list[Message] = []
        while len(seen) < total:
            seen += await browser.take(min(chance.randint(1, 120), total - len(seen)))
        await writing

        assert numbers(seen) == list(range(total))
        assert await none_left(lab)


async def test_a_reader_that_saw_nothing_yet_resumes_from_where_it_began(lab: Any) -> None:
    await lab.append(5)
    browser = Browser(lab, STREAM)
    async with asyncio.timeout(10), lab.client.stream("GET", STREAM) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                browser.last_id = line.removeprefix("id: ")
                break

    await lab.append([make_row(5), make_row(6)])

    assert numbers(await browser.take(2)) == [5, 6]


async def test_only_wanted_types_and_sources_come_through_and_the_place_moves_on_all_the_same(open_lab: Any) -> None:
    async with open_lab(feed_heartbeat_s=0.2) as lab:
        rows = [make_row(n, type=("error", "custom")[n % 2], source="ab"[n % 4 // 2]) for n in range(12)]
        await lab.append(rows)

        assert numbers(await Browser(lab, f"{STREAM}?from=0:0&type=error").take(6)) == [0, 2, 4, 6, 8, 10]
        assert numbers(await Browser(lab, f"{STREAM}?from=0:0&type=error&source=b").take(3)) == [2, 6, 10]
        both = await Browser(lab, f"{STREAM}?from=0:0&type=error&type=custom&source=a").take(6)
        assert numbers(both) == [0, 1, 4, 5, 8, 9]

        nothing = Browser(lab, f"{STREAM}?from=0:0&type=web.click")
        async with asyncio.timeout(10), nothing.connected() as messages:
            reading = asyncio.create_task(anext(messages))
            assert await comes_true(lambda: nothing.last_id == "0:11")
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        assert nothing.comments, "a quiet feed has to be heard now and then, or proxies close it"


async def test_many_readers_of_one_topic_cost_one_follower(open_lab: Any) -> None:
    async with open_lab(feed_linger_s=0.05) as lab:
        await _many_readers(lab)


async def _many_readers(lab: Any) -> None:
    browsers = [Browser(lab, STREAM) for _ in range(5)]

    async def watch(browser: Browser, ready: asyncio.Event) -> list[Message]:
        async with browser.connected() as messages:
            ready.set()
            return [await anext(messages) for _ in range(4)]

    readies = [asyncio.Event() for _ in browsers]
    async with asyncio.timeout(10):
        watching = [asyncio.create_task(watch(*pair)) for pair in zip(browsers, readies, strict=True)]
        for ready in readies:
            await ready.wait()
        followers = [task for task in asyncio.all_tasks() if task.get_name() == "live-feed:events"]
        await lab.append([make_row(n) for n in range(4)])
        seen = await asyncio.gather(*watching)

    assert len(followers) == 1
    assert all(numbers(messages) == [0, 1, 2, 3] for messages in seen)
    assert await none_left(lab)
    assert await comes_true(lambda: not [task for task in asyncio.all_tasks() if task.get_name().startswith("live-feed:")])


async def test_a_stopping_server_says_from_where_to_go_on(lab: Any) -> None:
    await lab.append([make_row(n) for n in range(3)])
    browser = Browser(lab, f"{STREAM}?from=earliest")
    async with asyncio.timeout(10), browser.connected() as messages:
        for _ in range(3):
            await anext(messages)
        lab.parts.feeds.close()
        cut = await anext(messages)
        rest = [message async for message in messages]

    assert cut.kind == "cut"
    assert cut.data["from"] == "0:3"
    assert "stopping" in cut.data["reason"]
    assert rest == []


async def test_a_feed_that_cannot_be_is_refused_before_it_begins(open_lab: Any) -> None:
    async with open_lab(feed_max_readers=1) as lab:
        await lab.append(3)
        for query, field in [("from=yesterday", "from"), ("from=0:4", "from"), ("frmo=latest", "frmo")]:
            answer = await lab.client.get(f"{STREAM}?{query}")
            assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)
        bad = await lab.client.get(STREAM, headers={"Last-Event-ID": "x"})
        assert bad.status_code == 422
        assert (await lab.client.get("/api/v1/topics/No%20Such/stream")).status_code == 422
        async with Browser(lab, STREAM).connected():
            busy = await lab.client.get(STREAM)
            assert (busy.status_code, busy.json()["error"]) == (503, "Overloaded")


async def test_a_topic_of_several_partitions_resumes_exactly_in_each(open_lab: Any, tmp_path: Path) -> None:
    async with open_lab(partitions=2, feed_chunk_bytes=1024) as lab:
        url, log_settings = f"sqlite://{tmp_path / 'log'}", LogSettings(partitions=2)
        async with SqliteLog(url, settings=log_settings, clock=lab.clock) as other:
            await lab.append([make_row(n, source="first") for n in range(40)])
            await other.append(make_batch([make_row(n, source="second") for n in range(40)]))
            chance = random.Random(3)
            browser = Browser(lab, f"{STREAM}?from=earliest")
            seen: list[Message] = []
            while len(seen) < 80:
                seen += await browser.take(min(chance.randint(1, 15), 80 - len(seen)))
            await other.append(make_batch([make_row(40, source="second")]))
            seen += await browser.take(1)

        for source, count in (("first", 40), ("second", 41)):
            mine = [message for message in seen if message.data["source"] == source]
            assert numbers(mine) == list(range(count))
        assert browser.last_id == "0:39,1:40"


async def test_a_partition_that_appears_later_is_read_from_its_beginning(open_lab: Any, tmp_path: Path) -> None:
    async with open_lab(partitions=2) as lab:
        await lab.append([make_row(0)])
        browser = Browser(lab, STREAM)
        url, log_settings = f"sqlite://{tmp_path / 'log'}", LogSettings(partitions=2)
        async with (
            asyncio.timeout(10),
            browser.connected() as messages,
            SqliteLog(url, settings=log_settings, clock=lab.clock) as other,
        ):
            await other.append(make_batch([make_row(n) for n in range(3)]))
            seen = [await anext(messages) for _ in range(3)]
            assert [message.id for message in seen] == ["0:0,1:0", "0:0,1:1", "0:0,1:2"]
