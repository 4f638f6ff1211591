"""What was erased is a gap in every feed, also in what a feed keeps in memory."""

import asyncio
from typing import Any

from tests.integration.query.browser import STREAM, Browser, comes_true
from weft.core.erasure import Erasure
from weft.core.principal import Principal
from weft.testing.factories import make_row

OPERATOR = Principal(kind="user", id="ada", name="Ada")


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


async def test_erasing_in_the_log_alone_leaves_a_gap_too(lab: Any) -> None:
    await lab.append([make_row(n, source="a" if n < 2 else "b") for n in range(4)])
    await lab.log.erase(Erasure(source="a"))

    messages = await Browser(lab, f"{STREAM}?from=0:0").take(3)

    assert [message.kind for message in messages] == ["gap", "message", "message"]
