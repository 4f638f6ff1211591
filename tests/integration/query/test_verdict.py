"""The verdict says what is wrong in one sentence, and the books behind it balance."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from weft.core.verdict import Finding, Level
from weft.log.port import LogState
from weft.testing.factories import make_row


async def test_an_installation_where_all_is_well_is_fine(lab: Any) -> None:
    await lab.take(10)

    body = await lab.get("/api/v1/verdict")

    assert body["level"] == "fine"
    assert body["sentence"] == "Everything is fine (2 checks)."
    assert {finding["code"] for finding in body["findings"]} == {"query.conservation", "query.lag"}
    for finding in body["findings"]:
        assert set(finding) == {"code", "level", "since", "why", "parameters"}
        assert finding["since"] == body["at"]
    assert (await lab.stranger.get("/api/v1/verdict")).status_code == 401


async def test_the_worst_finding_makes_the_sentence_and_keeps_its_beginning(lab: Any) -> None:
    level = Level.FINE

    async def check() -> Finding:
        return Finding(code="lab.door", level=level, why="the door is open", parameters={"open_s": 3})

    lab.parts.checks.add("lab.door", check)
    first = await lab.get("/api/v1/verdict")
    lab.clock.advance(10)
    level = Level.ACT
    second = await lab.get("/api/v1/verdict")
    lab.clock.advance(10)
    third = await lab.get("/api/v1/verdict")

    assert first["level"] == "fine"
    assert second["sentence"] == "Act now: the door is open."
    assert third["findings"][0]["since"] == second["at"]
    assert third["findings"][0]["parameters"] == {"open_s": 3}


async def test_a_store_that_does_not_read_is_noticed(lab: Any) -> None:
    await lab.take(1)
    await lab.append(5)
    assert (await lab.get("/api/v1/verdict"))["level"] == "fine"
    lab.clock.advance(61)

    behind = await lab.get("/api/v1/verdict")

    assert behind["level"] == "look"
    assert behind["findings"][0]["code"] == "query.lag"
    assert behind["findings"][0]["parameters"]["behind_events"] == 5
    lab.clock.advance(600)
    assert (await lab.get("/api/v1/verdict"))["level"] == "act"
    await lab.catch_up()
    assert (await lab.get("/api/v1/verdict"))["level"] == "fine"


async def test_conservation_names_where_every_event_is(lab: Any) -> None:
    await lab.take([make_row(id=str(n)) for n in range(5)])
    await lab.take([make_row(id="0"), make_row(id="9")])
    await lab.append(2, topic="other")

    body = await lab.get("/api/v1/conservation")

    topics = {topic["topic"]: topic for topic in body["topics"]}
    assert (topics["events"]["accepted"], topics["events"]["stored"]) == (6, 6), "the log itself refused the repeat"
    assert (topics["other"]["accepted"], topics["other"]["in_flight"]) == (2, 2)
    assert all(topic["difference"] == 0 for topic in body["topics"])


async def test_what_a_log_held_before_it_went_away_balances_nothing(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await lab.append(5)
    known = await lab.log.state()

    async def state() -> LogState:
        return replace(known, is_current=False, refusal="the broker is away")

    monkeypatch.setattr(lab.log, "state", state)

    body = await lab.refused("/api/v1/conservation", 503)

    assert "the broker is away" in body["message"]
    levels = {finding["code"]: finding["level"] for finding in (await lab.get("/api/v1/verdict"))["findings"]}
    assert levels == {"query.conservation": "unknown", "query.lag": "unknown"}


async def test_the_books_balance_at_every_moment_while_events_arrive(lab: Any) -> None:
    done = False

    async def look() -> int:
        looks = 0
        while not done:
            body = await lab.get("/api/v1/conservation")
            assert [topic["difference"] for topic in body["topics"] if topic["difference"]] == []
            looks += 1
        return looks

    looking = asyncio.create_task(look())
    for _ in range(20):
        await lab.append(50)
        await lab.append(7)
        await lab.catch_up()
    done = True

    assert await looking
