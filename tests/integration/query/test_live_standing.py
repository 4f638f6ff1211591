"""What stands now, and how it goes on: alerts, results of queries, figures, and the same as server-sent events."""

import asyncio
import json
from typing import Any

import pytest

from tests.integration.query.live_client import client, key_of
from weft.core.principal import Scope
from weft.testing.factories import make_row


def transition(fingerprint: str, status: str, level: str = "warning", rule: str = "load") -> Any:
    """A transition of an alert, as it stands in the log."""
    told = {
        "fingerprint": fingerprint,
        "status": status,
        "level": level,
        "rule": {"id": f"r-{rule}", "name": rule, "version": 1},
    }
    return make_row(type=f"weft.alert.{status}", source=f"weft/rules/r-{rule}", subject=fingerprint, data=told)


def result(query: str, key: str, value: float) -> Any:
    """A result of a continuous query, as it stands in the log."""
    told = {"query": query, "key": {"host": key}, "values": {"load": value}}
    return make_row(type="weft.result", source=f"weft/queries/{query}", subject=key, data=told)


def told(frame: dict[str, Any]) -> list[tuple[str, str]]:
    return [(event["data"]["fingerprint"], event["data"]["status"]) for event in frame["events"]]


async def test_alerts_begin_with_what_stands_and_go_on_with_every_transition(lab: Any) -> None:
    history = [("a", "pending"), ("b", "firing"), ("a", "firing"), ("c", "firing"), ("b", "resolved"), ("d", "inactive")]
    await lab.append([transition(*each) for each in history], topic="alerts")
    key = await key_of(lab, Scope.ALERTS_READ)
    async with client(lab, "/ws/alerts", key=key) as watcher:
        assert (await watcher.hear())["type"] == "subscribed"
        frame = await watcher.hear()
        assert (frame["type"], told(frame), frame["cursor"]) == ("snapshot", [("a", "firing"), ("c", "firing")], "0:6")
        await lab.append([transition("a", "resolved")], topic="alerts")
        frame = await watcher.hear()
        assert (frame["type"], told(frame), frame["cursor"]) == ("update", [("a", "resolved")], "0:7")
    async with client(lab, "/ws/alerts?cursor=0:5", key=key) as watcher:
        assert (await watcher.hear())["type"] == "subscribed"
        assert told(await watcher.hear()) + told(await watcher.hear()) == [("d", "inactive"), ("a", "resolved")]


async def test_alerts_are_filtered_and_one_that_was_shown_is_followed_to_its_end(lab: Any) -> None:
    await lab.append([transition("a", "firing"), transition("b", "firing", "critical", "disk")], topic="alerts")
    key = await key_of(lab, Scope.ALERTS_READ)
    chosen = {
        "level=critical&level=error&status=firing": ["b"],
        "rule=load": ["a"],
        "rule=r-disk&status=firing": ["b"],
        "filter=level%20!%3D%20'critical'": ["a"],
        "status=pending": [],
    }
    for question, shown in chosen.items():
        async with client(lab, f"/ws/alerts?{question}", key=key) as watcher:
            assert (await watcher.hear())["type"] == "subscribed"
            assert [each for each, _ in told(await watcher.hear())] == shown, question
    async with client(lab, "/ws/alerts?status=firing&level=critical", key=key) as watcher:
        await watcher.hear()
        await watcher.hear()
        await lab.append([transition("a", "resolved"), transition("b", "resolved", "critical", "disk")], topic="alerts")
        assert told(await watcher.hear()) == [("b", "resolved")]


async def test_an_alert_socket_tells_what_is_wrong_with_its_question(lab: Any) -> None:
    key = await key_of(lab, Scope.ALERTS_READ)
    for question, field in [("stauts=firing", "stauts"), ("filter=level%20>", "filter"), ("cursor=x", "from")]:
        async with client(lab, f"/ws/alerts?{question}", key=key) as watcher:
            frame = await watcher.hear()
            assert (frame["error"], frame["details"]["field"]) == ("ValidationError", field)


async def test_a_query_begins_with_the_newest_result_of_each_key(open_lab: Any) -> None:
    async with open_lab(feed_chunk_bytes=1024) as lab:
        results = [result("load", f"h{n % 9}", n) for n in range(40)]
        await lab.append(results, topic="analytics.load")
        key = await key_of(lab, Scope.QUERIES_READ)
        async with client(lab, key=key) as watcher:
            await watcher.subscribe("q", "query", topic="load", snapshot=True)
            frames = [await watcher.hear()]
            while frames[-1].get("more"):
                frames.append(await watcher.hear())
            assert len(frames) > 1, "a large snapshot comes in several frames"
            values = [event["data"]["values"]["load"] for frame in frames for event in frame["events"]]
            assert sorted(values) == list(range(31, 40))
            await lab.append([result("load", "h3", 99)], topic="analytics.load")
            assert (await watcher.hear())["events"][0]["data"]["values"] == {"load": 99}


async def test_figures_come_at_once_and_then_at_their_rate(open_lab: Any) -> None:
    async with open_lab(realtime_every_s=0.05) as lab:
        await lab.take(3)
        async with client(lab) as watcher:
            await watcher.subscribe("m", "metrics")
            frames = [await watcher.hear() for _ in range(3)]
            assert all(frame["metrics"].keys() >= {"events_per_second", "error_rate"} for frame in frames)
            assert {(frame["type"], frame["id"]) for frame in frames} == {("update", "m")}
            await watcher.ask("subscribe", id="x", feed="metrics", filter="a > 1")
            heard = [await watcher.hear() for _ in range(2)]
            assert "BadRequest" in {frame.get("error") for frame in heard}


async def test_a_feed_as_server_sent_events_goes_on_after_a_break(lab: Any) -> None:
    await lab.append([make_row(n) for n in range(5)])
    seen, last = list[int](), {}
    for count in (3, 4):
        async with asyncio.timeout(10):
            async for kind, cursor, data in _messages(lab, "/api/v1/live/events?cursor=0:1&filter=number%20!%3D%202", last):
                assert kind == "update"
                seen += [event["data"]["number"] for event in data["events"]]
                last = {"Last-Event-ID": cursor}
                if len(seen) >= count:
                    break
        await lab.append([make_row(n) for n in range(len(seen) + 2, len(seen) + 5)])

    assert seen == [1, 3, 4, 5, 6, 7]


async def test_server_sent_events_ask_for_the_scope_of_their_feed_and_refuse_wrong_questions(lab: Any) -> None:
    assert (await lab.stranger.get("/api/v1/live/metrics")).status_code == 401
    for feed, scope in [("alerts", "alerts:read"), ("query?topic=load", "queries:read")]:
        answer = await lab.client.get(f"/api/v1/live/{feed}")
        assert (answer.status_code, answer.json()["details"]) == (403, {"scope": scope})
    for question, field in [("topic", "topic"), ("nothing", "feed"), ("events?rate=x", "rate"), ("events?cursor=0:9", "from")]:
        answer = await lab.client.get(f"/api/v1/live/{question}")
        assert (answer.status_code, answer.json()["details"]["field"]) == (422, field), answer.text


async def test_a_stopping_server_tells_every_subscription_where_to_go_on(lab: Any) -> None:
    async with client(lab) as watcher:
        await watcher.subscribe("a")
        await watcher.subscribe("b", filter="number > 3")
        await watcher.subscribe("c", credit=1)
        await lab.append([make_row(1), make_row(2)])
        assert {(await watcher.hear())["cursor"] for _ in range(2)} == {"0:2", "0:1"}
        lab.parts.drain()
        cuts = [await watcher.hear() for _ in range(3)]
    assert {(cut["type"], cut["id"], cut["cursor"]) for cut in cuts} == {
        ("cut", "a", "0:2"),
        ("cut", "b", "0:2"),
        ("cut", "c", "0:1"),
    }
    assert "stopping" in cuts[0]["reason"]


@pytest.mark.parametrize("question", ["credit=4", "conflate=true"])
async def test_the_socket_of_a_topic_filters_and_takes_credit_or_conflates(open_lab: Any, question: str) -> None:
    async with open_lab(live_backlog_events=5) as lab:
        await lab.append([make_row(n) for n in range(20)])
        async with client(lab, f"/ws/topics/events?from=0:10&filter=number%20%25%202%20%3D%3D%200&{question}") as watcher:
            frame = await watcher.hear()
            numbers = [event["data"]["number"] for event in frame["events"]]
            if question == "credit=4":
                assert (numbers, frame["from"]) == ([10, 12, 14, 16], "0:17")
                await watcher.ask("credit", events=1)
                assert [event["data"]["number"] for event in (await watcher.hear())["events"]] == [18]
            else:
                assert (numbers, frame["from"]) == ([10, 12, 14, 16, 18], "0:20")


async def test_the_socket_of_a_topic_refuses_a_wrong_filter(lab: Any) -> None:
    for question in ("filter=number%20>", "conflate=true&credit=4"):
        async with client(lab, f"/ws/topics/events?{question}") as watcher:
            assert (await watcher.hear())["type"] == "error"
    answer = await lab.client.get("/api/v1/topics/events/stream?filter=number%20>")
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, "filter")


async def _messages(lab: Any, path: str, headers: dict[str, str]) -> Any:
    """Kind, id and data of server-sent events, as a browser dispatches them."""
    async with lab.client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        kind, cursor, data = "message", "", ""
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "id":
                cursor = value
            elif name == "data":
                data = value
            elif not line and data:
                yield kind, cursor, json.loads(data)
                kind, data = "message", ""
