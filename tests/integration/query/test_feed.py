"""The live feed of a topic: every event once, in order, whatever breaks, and nobody waits for a slow reader."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from weft.core.erasure import Erasure
from weft.core.errors import Busy
from weft.core.principal import Principal
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.testing.factories import make_batch, make_row

OPERATOR = Principal(kind="user", id="ada", name="Ada")


@dataclass
class Message:
    """One server-sent event, as a browser dispatches it."""

    kind: str
    id: str
    data: Any


class Browser:
    """Reads server-sent events as the standard says, and remembers the last event id."""

    def __init__(self, lab: Any, path: str, last_id: str = "") -> None:
        self.lab, self.path, self.last_id = lab, path, last_id
        self.comments = 0

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[AsyncIterator[Message]]:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        async with self.lab.client.stream("GET", self.path, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield self._messages(answer.aiter_lines())

    async def _messages(self, lines: AsyncIterator[str]) -> AsyncIterator[Message]:
        kind, data, last_id = "message", [], self.last_id
        async for line in lines:
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                self.comments += 1
            elif name == "id":
                last_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                data.append(value)
            elif line == "":
                self.last_id = last_id
                if data:
                    yield Message(kind, last_id, json.loads("\n".join(data)))
                kind, data = "message", []

    async def take(self, count: int) -> list[Message]:
        """Connect, take so many messages, and break off."""
        found: list[Message] = []
        async with asyncio.timeout(20), self.connected() as messages:
            async for message in messages:
                found.append(message)
                if len(found) == count:
                    break
        return found


def numbers(messages: list[Message]) -> list[int]:
    return [message.data["data"]["number"] for message in messages]


STREAM = "/api/v1/topics/events/stream"


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
        assert await _none_left(lab)


async def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether something another task does happens within some seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing in the product announces it
            await asyncio.sleep(0.01)
    return True


async def _none_left(lab: Any) -> bool:
    return await comes_true(lambda: lab.parts.feeds.readers == 0)


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
    assert await _none_left(lab)
    assert await comes_true(lambda: not [task for task in asyncio.all_tasks() if task.get_name().startswith("live-feed:")])


async def test_a_reader_that_reads_nothing_holds_bounded_memory_and_delays_nobody(open_lab: Any) -> None:
    async with open_lab(feed_memory_bytes=200_000, feed_chunk_bytes=50_000, feed_send_timeout_s=60) as lab:
        host, port = lab.address.split(":")
        stuck, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(f"GET {STREAM} HTTP/1.1\r\nHost: x\r\nX-API-Key: {lab.key}\r\n\r\n".encode())
        assert (await stuck.readline()).startswith(b"HTTP/1.1 200")
        quick = Browser(lab, STREAM)
        async with asyncio.timeout(60), quick.connected() as messages:
            for turn in range(40):
                await lab.append(
                    [make_row(turn * 10 + n, data={"number": turn * 10 + n, "text": "x" * 30_000}) for n in range(10)]
                )
                for n in range(10):
                    assert (await anext(messages)).data["data"]["number"] == turn * 10 + n
                assert lab.parts.feeds.size_bytes <= 200_000, "what is kept does not grow with what a reader missed"
        writer.close()


async def test_a_reader_that_takes_nothing_for_too_long_is_cut_and_its_place_is_free(open_lab: Any) -> None:
    async with open_lab(feed_send_timeout_s=0.3) as lab:
        host, port = lab.address.split(":")
        stuck, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(f"GET {STREAM} HTTP/1.1\r\nHost: x\r\nX-API-Key: {lab.key}\r\n\r\n".encode())
        assert (await stuck.readline()).startswith(b"HTTP/1.1 200")
        for _ in range(15):
            await lab.append([make_row(data={"text": "x" * 200_000}) for _ in range(5)])

        assert await _none_left(lab)
        writer.close()


async def test_what_was_erased_is_a_gap_and_not_sent(lab: Any) -> None:
    await lab.take([make_row(n, user_id="ada" if n in {2, 3} else "bob") for n in range(6)])
    answer = await lab.admin.post("/api/v1/erasures", json={"user_id": "ada"})
    assert answer.status_code == 200, answer.text

    messages = await Browser(lab, f"{STREAM}?from=earliest").take(5)

    assert [message.kind for message in messages] == ["message", "message", "gap", "message", "message"]
    gap = messages[2].data
    assert (gap["partition"], gap["start_offset"], gap["end_offset"]) == (0, 2, 4)
    assert [message.data["offset"] for message in messages if message.kind == "message"] == [0, 1, 4, 5]


async def test_an_erasure_reaches_what_the_feed_keeps_in_memory(lab: Any) -> None:
    browser = Browser(lab, STREAM)
    async with asyncio.timeout(10), browser.connected() as messages:
        await lab.take([make_row(n, user_id="ada") for n in range(3)])
        for _ in range(3):
            await anext(messages)
        await lab.admin.post("/api/v1/erasures", json={"user_id": "ada"})
        await lab.take([make_row(9, user_id="bob")])
        late = await Browser(lab, f"{STREAM}?from=0:0").take(2)

    assert late[0].kind == "gap"
    assert late[1].data["user_id"] == "bob"


async def test_an_erasure_by_another_process_reaches_what_the_feed_keeps_in_memory(lab: Any) -> None:
    async with lab.parts.feeds.open("events", "latest") as reader:
        await lab.take([make_row(user_id="ada")])
        assert (await reader.next(5))[0].lines
        assert lab.parts.feeds.size_bytes > 0

        await lab.parts.eraser.erase(Erasure(user_id="ada"), OPERATOR)  # as it would be done there: nobody tells our feed

        assert await comes_true(lambda: lab.parts.feeds.size_bytes == 0)


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


async def test_only_so_many_topics_are_fed_and_idle_ones_give_way(open_lab: Any) -> None:
    async with open_lab(feed_max_topics=2) as lab:
        async with lab.parts.feeds.open("a", "latest"), lab.parts.feeds.open("b", "latest"):
            with pytest.raises(Busy, match="2 topics"):
                await lab.parts.feeds.open("c", "latest").__aenter__()
        async with lab.parts.feeds.open("c", "latest") as reader:
            await lab.append(1, topic="c")
            assert (await reader.next(5))[0].lines


async def test_a_reader_whose_key_was_revoked_is_cut(open_lab: Any) -> None:
    async with open_lab(feed_heartbeat_s=0.05, feed_recheck_s=60) as lab:
        browser = Browser(lab, STREAM)
        async with asyncio.timeout(10), browser.connected() as messages:
            await lab.append([make_row(0)])
            assert (await anext(messages)).kind == "message"
            await lab.revoke_reader()
            lab.clock.advance(61)
            cut = await anext(messages)

        assert (cut.kind, cut.data["from"]) == ("cut", "0:1")


async def test_a_socket_that_reads_nothing_holds_bounded_memory_and_its_place_becomes_free(open_lab: Any) -> None:
    async with open_lab(feed_send_timeout_s=0.3) as lab:
        socket = await connect(
            f"ws://{lab.address}/ws/topics/events", additional_headers={"X-API-Key": lab.key}, max_queue=1, ping_interval=None
        )
        assert await comes_true(lambda: lab.parts.views.seats == 1)
        for _ in range(15):
            await lab.append([make_row(data={"text": "x" * 200_000}) for _ in range(5)])

        assert await comes_true(lambda: lab.parts.views.seats == 0)
        socket.transport.abort()


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


async def test_the_socket_feed_resumes_by_offset_and_filters(lab: Any) -> None:
    await lab.append([make_row(n, type=("error", "custom")[n % 2]) for n in range(10)])
    url = f"ws://{lab.address}/ws/topics/events"
    shown = {"X-API-Key": lab.key}

    async with asyncio.timeout(10), connect(f"{url}?from=earliest", additional_headers=shown) as socket:
        frame = json.loads(await socket.recv())
        assert (frame["type"], frame["from"]) == ("events", "0:10")
        assert [event["data"]["number"] for event in frame["events"]] == list(range(10))
        await lab.append([make_row(10, type="custom")])
        frame = json.loads(await socket.recv())
        assert (frame["from"], frame["events"][0]["offset"]) == ("0:11", 10)
    async with asyncio.timeout(10), connect(f"{url}?from=0:4&type=error", additional_headers=shown) as socket:
        frame = json.loads(await socket.recv())
        assert [event["data"]["number"] for event in frame["events"]] == [4, 6, 8]
        await socket.send('{"type":"ping"}')
        assert json.loads(await socket.recv()) == {"type": "pong"}


@pytest.mark.contract("SF-D20")
async def test_the_socket_feed_refuses_strangers_and_wrong_questions(lab: Any) -> None:
    url = f"ws://{lab.address}/ws/topics/events"
    async with asyncio.timeout(10), connect(url) as socket:
        await socket.send('{"type":"subscribe"}')
        refused = json.loads(await socket.recv())
        assert (refused["type"], refused["error"]) == ("error", "AuthenticationError")
        await socket.wait_closed()
        assert socket.close_code == 1008
    for query, field in [("from=x", "from"), ("frmo=latest", "frmo"), ("from=0:99", "from")]:
        async with asyncio.timeout(10), connect(f"{url}?{query}", additional_headers={"X-API-Key": lab.key}) as socket:
            refused = json.loads(await socket.recv())
            assert (refused["error"], refused["details"]["field"]) == ("ValidationError", field)


async def test_a_stopping_server_tells_its_sockets_too(lab: Any) -> None:
    url = f"ws://{lab.address}/ws/topics/events?from=earliest"
    await lab.append(2)
    async with asyncio.timeout(10), connect(url, additional_headers={"X-API-Key": lab.key}) as socket:
        await socket.recv()
        lab.parts.feeds.close()
        cut = json.loads(await socket.recv())
        assert (cut["type"], cut["from"]) == ("cut", "0:2")
        await socket.wait_closed()
        assert socket.close_code == 1000


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


async def test_ingest_is_not_held_up_by_a_crowd_that_reads_nothing(lab: Any) -> None:
    host, port = lab.address.split(":")
    writers = []
    for _ in range(20):
        stuck, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(f"GET {STREAM} HTTP/1.1\r\nHost: x\r\nX-API-Key: {lab.key}\r\n\r\n".encode())
        assert (await stuck.readline()).startswith(b"HTTP/1.1 200")
        writers.append(writer)

    async with asyncio.timeout(20):
        for _ in range(20):
            await lab.append([make_row(data={"text": "x" * 10_000}) for _ in range(20)])

    for writer in writers:
        writer.close()


async def test_erasing_in_the_log_alone_leaves_a_gap_too(lab: Any) -> None:
    await lab.append([make_row(n, source="a" if n < 2 else "b") for n in range(4)])
    await lab.log.erase(Erasure(source="a"))

    messages = await Browser(lab, f"{STREAM}?from=0:0").take(3)

    assert [message.kind for message in messages] == ["gap", "message", "message"]
