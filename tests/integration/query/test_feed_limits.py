"""A reader that reads too little or may read no longer holds bounded memory, delays nobody and is cut."""

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.integration.query.browser import STREAM, Browser, comes_true, none_left
from weft.core.errors import Busy
from weft.testing.factories import make_row


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

        assert await none_left(lab)
        writer.close()


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
