"""The gate: questions wait their turn, and never for ever."""

import asyncio

import pytest

from weft.core.errors import Busy, TimedOut
from weft.query.gate import Gate
from weft.query.settings import QuerySettings


async def test_only_so_many_questions_are_worked_on_at_once() -> None:
    gate = Gate(QuerySettings(max_concurrent=2, max_waiting=10))
    working, most = 0, 0

    async def question() -> int:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await asyncio.sleep(0)
        working -= 1
        return 7

    assert await asyncio.gather(*(gate.ask(question) for _ in range(12))) == [7] * 12
    assert most == 2


async def test_one_question_too_many_is_refused_at_once() -> None:
    gate = Gate(QuerySettings(max_concurrent=1, max_waiting=1))
    go = asyncio.Event()
    first, second = asyncio.create_task(gate.ask(go.wait)), asyncio.create_task(gate.ask(go.wait))
    await asyncio.sleep(0)

    with pytest.raises(Busy, match="wait"):
        await gate.ask(go.wait)

    go.set()
    assert await first
    assert await second


async def test_a_question_that_takes_too_long_is_given_up_and_its_place_is_free_again() -> None:
    gate = Gate(QuerySettings(max_concurrent=1, timeout_s=0.05))
    ended = asyncio.Event()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimedOut, match="shorter"):
        await gate.ask(endless)
    assert ended.is_set()

    async def quick() -> str:
        return "answer"

    assert await gate.ask(quick) == "answer"


async def test_the_time_limit_counts_the_waiting_too() -> None:
    gate = Gate(QuerySettings(max_concurrent=1, timeout_s=0.05))
    go = asyncio.Event()

    async def patient() -> None:
        await go.wait()

    results = await asyncio.gather(gate.ask(patient), gate.ask(patient), return_exceptions=True)

    assert [type(result) for result in results] == [TimedOut, TimedOut]


async def test_a_failing_question_frees_its_place() -> None:
    gate = Gate(QuerySettings(max_concurrent=1))

    async def failing() -> None:
        raise ValueError("no")

    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            await gate.ask(failing)
