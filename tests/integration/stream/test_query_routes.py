"""Queries over HTTP: added, read, changed, removed; their results; and trying them out without keeping anything."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from tests.integration.stream.conftest import Analytics, send, until
from weft.api.edge import Edge
from weft.api.errors import add_error_handlers
from weft.api.metrics import Metrics
from weft.api.rate_limit import RateLimits
from weft.api.settings import ApiSettings
from weft.auth.proof import Proof
from weft.auth.signature import prove
from weft.core.clock import SystemClock
from weft.core.position import TopicPartition
from weft.core.principal import SCOPES_OF, Principal, Role
from weft.db.database import Database
from weft.log.port import Log
from weft.store.parquet import ParquetStore
from weft.store.port import EventStore
from weft.store.settings import StoreSettings
from weft.stream.built_in import settle_built_in
from weft.stream.parts import StreamParts
from weft.stream.routes import router
from weft.stream.settings import StreamSettings
from weft.testing.clock import ManualClock
from weft.testing.server import serving

HOT: dict[str, Any] = {
    "name": "hot-rooms",
    "from": "events",
    "key": ["data.room"],
    "window": "10s",
    "select": {"mean": "avg(temperature)"},
    "having": "mean > 30",
}


class Lab:
    """A server that answers the routes of queries for an operator; `role` may be turned."""

    def __init__(self, parts: StreamParts, log: Log, store: EventStore) -> None:
        self.parts = parts
        self.log = log
        self.store = store
        self.role = Role.OPERATOR
        self.client = httpx.AsyncClient()

    def proof(self) -> Proof:
        scopes = frozenset(SCOPES_OF[self.role])
        principal = Principal(kind="user", id="ada", name="Ada", role=self.role, scopes=scopes, requests_per_minute=0)
        return Proof(principal=principal, method="token")

    async def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """The JSON of an answer of this status."""
        answer = await self.client.request(method, path, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def catch_up(self) -> None:
        """Let the store read all that stands in the log."""
        for state in (await self.log.state()).partitions:
            await self.store.write(await self.log.read(TopicPartition(state.topic, state.partition), 0))


@pytest.fixture
async def lab(tmp_path: Path, log: Log, database: Database, clock: ManualClock) -> AsyncIterator[Lab]:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            ParquetStore(f"parquet://{tmp_path / 'store'}", settings=StoreSettings(), clock=clock)
        )
        settings, metrics = ApiSettings(rate_limit_enabled=False, access_log="off"), Metrics()
        parts = StreamParts.of(log=log, store=store, database=database, clock=clock, settings=StreamSettings(), metrics=metrics)
        lab = Lab(parts, log, store)
        app = FastAPI(openapi_url=None)
        app.include_router(router)
        add_error_handlers(app, clock)
        app.dependency_overrides[prove] = lab.proof
        app.state.stream = parts
        edge = Edge(
            app,
            settings=settings,
            clock=clock,
            authenticator=None,  # pyright: ignore[reportArgumentType] - who asks is settled by the override
            rate_limits=RateLimits(settings=settings, clock=clock),
            metrics=metrics,
        )
        address = await stack.enter_async_context(serving(edge))
        lab.client = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://{address}", timeout=20))
        yield lab


async def test_a_query_is_added_read_changed_and_removed(lab: Lab) -> None:
    added = await lab.ask("POST", "/api/v1/queries", 201, json=HOT)
    assert (added["version"], added["owner"], added["made_by"]) == (1, "user:ada", "Ada")
    assert added["results_topic"] == "analytics.hot-rooms"

    changed = await lab.ask("PUT", "/api/v1/queries/hot-rooms", json={**HOT, "window": "20s"})
    assert changed["version"] == 2
    read = await lab.ask("GET", "/api/v1/queries/hot-rooms")
    assert (read["definition"], read["state"]) == ({**HOT, "window": "20s"}, None)
    versions = await lab.ask("GET", "/api/v1/queries/hot-rooms/versions")
    assert [one["definition"]["window"] for one in versions["items"]] == ["20s", "10s"]

    page = await lab.ask("GET", "/api/v1/queries", params={"from": "events", "limit": 10})
    assert (page["total"], page["skip"], page["limit"], [one["name"] for one in page["items"]]) == (1, 0, 10, ["hot-rooms"])

    await lab.ask("DELETE", "/api/v1/queries/hot-rooms", 204)
    await lab.ask("GET", "/api/v1/queries/hot-rooms", 404)
    await lab.ask("DELETE", "/api/v1/queries/hot-rooms", 404)
    assert (await lab.ask("GET", "/api/v1/queries"))["items"] == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"window": "ten minutes"}, "window.tumbling"),
        ({"where": "temperature >"}, "where"),
        ({"select": {"mean": "avg(temperature"}}, "select.mean"),
        ({"having": "nothing > 3"}, "having"),
        ({"name": "Hot Rooms"}, "name"),
        ({"from": "analytics.hot-rooms"}, "from"),
    ],
)
async def test_what_is_wrong_with_a_query_names_its_field(lab: Lab, wrong: dict[str, Any], field: str) -> None:
    refusal = await lab.ask("POST", "/api/v1/queries", 422, json={**HOT, **wrong})

    assert refusal["details"]["field"] == field
    assert (await lab.ask("GET", "/api/v1/queries"))["total"] == 0


async def test_a_name_that_is_taken_is_refused_and_so_is_what_comes_with_weft(lab: Lab) -> None:
    await lab.ask("POST", "/api/v1/queries", 201, json=HOT)
    await lab.ask("POST", "/api/v1/queries", 409, json=HOT)
    await lab.ask("PUT", "/api/v1/queries/other", 422, json=HOT)

    await settle_built_in(lab.parts.catalogue, wanted=True)
    assert (await lab.ask("GET", "/api/v1/queries", params={"owner": "built-in"}))["total"] == 5
    await lab.ask("DELETE", "/api/v1/queries/error_rate", 409)
    await settle_built_in(lab.parts.catalogue, wanted=False)
    assert [one["name"] for one in (await lab.ask("GET", "/api/v1/queries"))["items"]] == ["hot-rooms"]


async def test_who_may_only_read_adds_nothing(lab: Lab) -> None:
    lab.role = Role.USER

    await lab.ask("POST", "/api/v1/queries", 403, json=HOT)
    await lab.ask("GET", "/api/v1/queries")
    await lab.ask("POST", "/api/v1/queries/explain", json={"query": HOT})


async def test_results_are_read_newest_first_with_the_state_of_their_query(lab: Lab, database: Database) -> None:
    async with Analytics(lab.log, database, SystemClock()) as analytics:
        await lab.ask("POST", "/api/v1/queries", 201, json={**HOT, "having": None})
        await analytics.runs("hot-rooms")
        await send(lab.log, 1, 2, data={"room": "a", "temperature": 30})
        await send(lab.log, 12, data={"room": "b", "temperature": 40})
        await send(lab.log, 25, data={"room": "b", "temperature": 41})

        async def answered() -> bool:
            state = (await lab.ask("GET", "/api/v1/queries/hot-rooms"))["state"]
            return state is not None and state["results"] == 2 and state["lag"] == 0

        await until(answered)
    state = (await lab.ask("GET", "/api/v1/queries/hot-rooms"))["state"]
    assert (state["is_running"], state["watermark"], state["late"]) == (True, "2026-05-28T20:27:04Z", 0)

    await lab.catch_up()
    page = await lab.ask("GET", "/api/v1/queries/hot-rooms/results")
    assert [(one["key"], one["values"]) for one in page["items"]] == [
        ({"data.room": "b"}, {"mean": 40.0}),
        ({"data.room": "a"}, {"mean": 30.0}),
    ]
    only = await lab.ask("GET", "/api/v1/queries/hot-rooms/results", params={"subject": "a"})
    assert [one["key"] for one in only["items"]] == [{"data.room": "a"}]
    first = await lab.ask("GET", "/api/v1/queries/hot-rooms/results", params={"limit": 1})
    rest = await lab.ask("GET", "/api/v1/queries/hot-rooms/results", params={"cursor": first["next_cursor"]})
    assert [one["key"] for one in rest["items"]] == [{"data.room": "a"}]


async def test_a_query_is_tried_out_over_events_that_are_sent_along(lab: Lab) -> None:
    def event(second: int, temperature: float) -> dict[str, Any]:
        data = {"room": "a", "temperature": temperature}
        return {"type": "custom", "source": "s", "time": f"2026-01-31T12:00:{second:02}Z", "data": data}

    events = [event(1, 40), event(2, 42), event(15, 20), event(3, 90), event(27, 50)]
    answer = await lab.ask("POST", "/api/v1/queries/test", json={"query": HOT, "events": events})

    assert [(one["window"]["start"], one["values"]) for one in answer["results"]] == [
        ("2026-01-31T12:00:00Z", {"mean": 41.0}),
        ("2026-01-31T12:00:20Z", {"mean": 50.0}),
    ]
    assert answer["late"] == [3]
    assert (await lab.ask("GET", "/api/v1/queries"))["total"] == 0
    refusal = await lab.ask("POST", "/api/v1/queries/test", 422, json={"query": HOT, "events": [{"source": "s"}]})
    assert refusal["details"]["field"] == "events.0"


async def test_a_query_is_put_in_words(lab: Lab) -> None:
    answer = await lab.ask("POST", "/api/v1/queries/explain", json={"query": HOT})

    assert "mean: The average of temperature." in answer["lines"]
    assert (answer["results_topic"], answer["answered_after_s"]) == ("analytics.hot-rooms", 1.0)
    assert answer["reads"] == ["data.room", "data.temperature"]


@pytest.mark.parametrize("origin", ["store", "log"])
async def test_a_backtest_tells_what_a_query_would_have_answered(lab: Lab, origin: str) -> None:
    await send(lab.log, 1, 2, data={"room": "a", "temperature": 31})
    await send(lab.log, 12, data={"room": "a", "temperature": 10})
    await send(lab.log, 23, 24, data={"room": "b", "temperature": 50})
    await lab.catch_up()

    answer = await lab.client.post("/api/v1/queries/backtest", json={"query": HOT, "origin": origin})
    lines = [msgspec.json.decode(line) for line in answer.text.splitlines()]

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [line["result"]["values"] for line in lines if "result" in line] == [{"mean": 31.0}, {"mean": 50.0}]
    done = lines[-1]["done"]
    assert (done["events"], done["results"], done["late"], done["is_whole"]) == (5, 2, 0, True)

    part = {"query": HOT, "origin": origin, "start": "2026-05-28T20:26:55Z"}
    lines = (await lab.client.post("/api/v1/queries/backtest", json=part)).text.splitlines()
    assert [msgspec.json.decode(line).keys() for line in lines] == [{"result"}, {"done"}]


async def test_a_backtest_ends_when_nobody_listens(lab: Lab) -> None:
    for second in range(0, 400, 2):
        await send(lab.log, *([second] * 200), data={"room": "a", "temperature": 31})
    async with lab.client.stream("POST", "/api/v1/queries/backtest", json={"query": HOT, "origin": "log"}) as answer:
        await anext(answer.aiter_lines())

    async def over() -> bool:
        return not lab.parts.backtests.locked() and lab.parts.backtests._value == lab.parts.settings.backtests

    await until(over)
    assert (await lab.ask("POST", "/api/v1/queries/explain", json={"query": HOT}))["name"] == "hot-rooms"


async def test_an_expression_is_looked_at_while_it_is_typed(lab: Lab) -> None:
    good = await lab.ask("POST", "/api/v1/expressions/check", json={"expression": "severity == 'high'"})
    assert (good["valid"], good["kind"], good["sentence"]) == (True, "boolean", 'severity is "high".')

    bad = await lab.ask("POST", "/api/v1/expressions/check", json={"expression": "severity == "})
    assert (bad["valid"], bad["errors"][0]["column"]) == (False, 13)
    await lab.ask("POST", "/api/v1/expressions/check", 422, json={"expression": "a", "purpose": "poetry"})
