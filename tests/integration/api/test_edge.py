"""What is true of every request that passes the edge."""

import asyncio
import gzip
import logging
import zlib
from typing import Any

import httpx
import pytest
import zstandard
from prometheus_client.parser import text_string_to_metric_families

from weft.api.access import FLUSH_S

SIGNED_IN = {"Authorization": "Bearer alice"}
SECURITY = ("x-content-type-options", "x-frame-options", "referrer-policy", "content-security-policy")


async def test_a_client_that_writes_everything_before_it_reads_still_gets_its_refusal(site: Any) -> None:
    for size in (300_000, 5_000_000):
        answer = await site.http.post("/hot", content=b"x" * size)
        assert answer.status_code == 401
        answer = await site.http.post("/hot", content=b"x" * size, headers=SIGNED_IN)
        assert answer.status_code == 413


async def requests_by_route(site: Any) -> dict[tuple[str, str, str], float]:
    text = site.metrics.exposition()[0].decode()
    return {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "weft_http_requests_total"
    }


@pytest.mark.contract("SF-242")
@pytest.mark.parametrize("header", ["X-Correlation-ID", "X-Request-ID"])
async def test_a_client_s_id_goes_through_to_the_answer(site: Any, header: str) -> None:
    for answer in (
        await site.http.get("/things/1", headers={header: "mine-1"}),
        await site.http.post("/hot", content=b"x", headers={**SIGNED_IN, header: "mine-1"}),
        await site.http.get("/nope", headers={header: "mine-1"}),
    ):
        assert answer.headers["x-correlation-id"] == "mine-1"


async def test_an_odd_id_is_replaced(site: Any) -> None:
    answer = await site.http.get("/things/1", headers={"X-Correlation-ID": "<script>alert(1)</script>"})
    assert len(answer.headers["x-correlation-id"]) == 32


@pytest.mark.contract("SF-281")
@pytest.mark.parametrize(
    "path", ["/things/1", "/nope", "/health", "/metrics", "/docs", "/openapi.json", "/fail/runtime", "/hot"]
)
async def test_security_headers_are_on_every_answer(site: Any, path: str) -> None:
    answer = await site.http.get(path)
    assert [name for name in SECURITY if name not in answer.headers] == []
    assert "strict-transport-security" not in answer.headers, "plain HTTP must stay usable"


@pytest.mark.contract("SF-281")
async def test_security_headers_are_on_hot_answers_and_hsts_where_it_is_set(start: Any) -> None:
    async with start(rate_limit_enabled=False, hsts_max_age_s=600) as site:
        for headers in ({}, {"Origin": "http://elsewhere"}, {"Connection": "close"}):
            answer = await site.http.post("/hot", content=b"x", headers={**SIGNED_IN, **headers})
            assert answer.status_code == 201
            assert [name for name in SECURITY if name not in answer.headers] == []
            assert answer.headers["strict-transport-security"] == "max-age=600"
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["x-extra"] == "yes"


async def test_a_hot_route_gets_what_was_sent(site: Any) -> None:
    answer = await site.http.post("/hot", content=b"x" * 1234, headers={**SIGNED_IN, "X-Correlation-ID": "c"})
    assert answer.json() == {"size": 1234, "who": "alice", "id": "c", "ip": "127.0.0.1"}


@pytest.mark.contract("SF-288")
async def test_requests_are_counted_by_template_and_strangers_cannot_grow_the_labels(site: Any) -> None:
    for number in range(5):
        await site.http.get(f"/things/{number}")
        await site.http.get(f"/again/things/{number}")
        await site.http.get(f"/nope/{number}")
        await site.http.request("PROPFIND", "/nope")
        await site.http.post("/hot", content=b"x", headers=SIGNED_IN)
    await site.http.put("/hot")
    await site.http.get("/healthz")
    assert await requests_by_route(site) == {
        ("GET", "/things/{thing_id}", "200"): 5,
        ("GET", "/again/things/{thing_id}", "200"): 5,
        ("GET", "unmatched", "404"): 5,
        ("OTHER", "unmatched", "404"): 5,
        ("POST", "/hot", "201"): 5,
        ("PUT", "/hot", "405"): 1,
        ("GET", "/healthz", "200"): 1,
    }


@pytest.mark.contract("SF-282", "SF-290")
async def test_metrics_are_served_and_can_be_switched_off(start: Any, site: Any) -> None:
    answer = await site.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "weft_http_requests_total" in {f.name + "_total" for f in text_string_to_metric_families(answer.text)}
    async with start(metrics_enabled=False) as closed:
        assert (await closed.http.get("/metrics")).status_code == 404


@pytest.mark.contract("SF-299", "SF-301", "SF-302")
async def test_each_request_leaves_a_line_with_route_status_and_who(start: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with start(access_log="all", rate_limit_enabled=False) as site:
        with caplog.at_level(logging.INFO, "weft.access"):
            await site.http.post("/hot", content=b"x", headers={**SIGNED_IN, "X-Correlation-ID": "c-1"})
            await site.http.get("/things/7?token=hidden", headers={"X-Correlation-ID": "c-2"})
            await asyncio.sleep(2 * FLUSH_S)
    assert "POST '/hot' 201 in " in caplog.text
    assert "for alice (c-1)" in caplog.text
    assert "GET '/things/7' 200 in " in caplog.text
    assert "hidden" not in caplog.text


async def test_head_is_get_without_a_body(site: Any) -> None:
    head, get = await site.http.head("/things/1"), await site.http.get("/things/1")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert (await site.http.head("/nope")).status_code == 404


async def test_head_of_an_endless_answer_ends(site: Any) -> None:
    async with asyncio.timeout(5):
        assert (await site.http.head("/endless")).status_code == 200
        assert (await site.http.get("/things/1")).status_code == 200


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/hot", "DELETE, OPTIONS, POST"), ("/things/1", "GET, HEAD, OPTIONS, PUT"), ("/health", "GET, HEAD, OPTIONS")],
)
async def test_options_says_what_a_path_takes(site: Any, path: str, allow: str) -> None:
    answer = await site.http.options(path)
    assert (answer.status_code, answer.headers["allow"]) == (204, allow)
    assert "content-length" not in answer.headers


async def test_options_of_nothing_is_a_404(site: Any) -> None:
    assert (await site.http.options("/nope")).status_code == 404


@pytest.mark.contract("SF-275", "SF-277", "SF-278")
async def test_pre_flights_are_answered_at_the_edge(start: Any) -> None:
    async with start(cors_origins=("https://app.example.org",), cors_methods=("GET", "POST")) as site:

        async def ask(origin: str, method: str) -> httpx.Response:
            return await site.http.options(
                "/hot",
                headers={
                    "Origin": origin,
                    "Access-Control-Request-Method": method,
                    "Access-Control-Request-Headers": "authorization, x-anything",
                },
            )

        answer = await ask("https://app.example.org", "POST")
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "https://app.example.org"
        assert answer.headers["access-control-allow-methods"] == "GET, POST"
        assert answer.headers["access-control-allow-headers"] == "authorization, x-anything"
        for refused in (await ask("https://evil.example.org", "POST"), await ask("https://app.example.org", "DELETE")):
            assert refused.status_code == 403
            assert "access-control-allow-methods" not in refused.headers
            assert refused.json()["error"] == "PermissionDenied"


@pytest.mark.contract("SF-275", "SF-276")
async def test_answers_and_errors_name_a_listed_origin_and_no_other(start: Any) -> None:
    async with start(cors_origins=("https://app.example.org",), cors_credentials=True, rate_limit_enabled=False) as site:
        for path, method in (("/things/1", "GET"), ("/nope", "GET"), ("/hot", "POST")):
            listed = await site.http.request(method, path, headers={**SIGNED_IN, "Origin": "https://app.example.org"})
            assert listed.headers["access-control-allow-origin"] == "https://app.example.org"
            assert listed.headers["access-control-allow-credentials"] == "true"
            assert "X-RateLimit-Remaining" in listed.headers["access-control-expose-headers"]
            other = await site.http.request(method, path, headers={**SIGNED_IN, "Origin": "https://evil.example.org"})
            assert "access-control-allow-origin" not in other.headers


async def test_a_stranger_s_page_cannot_use_the_open_local_door(start: Any) -> None:
    async with start(anonymous=True, rate_limit_enabled=False) as site:
        assert (await site.http.post("/hot", content=b"x")).status_code == 201
        assert (await site.http.post("/hot", content=b"x", headers={"Origin": f"http://{site.address}"})).status_code == 201
        assert (await site.http.post("/hot", content=b"x", headers={"Origin": "https://evil.example.org"})).status_code == 403


@pytest.mark.parametrize(("proxies", "scheme"), [((), "http"), (("127.0.0.0/8",), "https")])
async def test_only_a_trusted_proxy_says_that_a_client_came_by_https(start: Any, proxies: tuple[str, ...], scheme: str) -> None:
    async with start(trusted_proxies=proxies) as site:
        answer = await site.http.get("/scheme", headers={"X-Forwarded-Proto": "https"})
        assert answer.json() == scheme
        assert (await site.http.get("/scheme", headers={"X-Forwarded-Proto": "javascript"})).json() == "http"


async def test_bodies_are_bounded_when_the_length_is_told(site: Any) -> None:
    answer = await site.http.post("/hot", content=b"x" * 200_001, headers=SIGNED_IN)
    assert answer.status_code == 413
    assert answer.json()["details"] == {"limit": 200_000, "unit": "bytes"}
    assert (await site.http.post("/hot", content=b"x" * 200_000, headers=SIGNED_IN)).status_code == 201


@pytest.mark.parametrize("path", ["/hot", "/raw-size"])
async def test_bodies_are_bounded_when_the_length_is_not_told(start: Any, path: str) -> None:
    async def endless() -> Any:
        for _ in range(10_000):
            yield b"x" * 10_000

    async with start(rate_limit_enabled=False, max_body_bytes=100_000) as site:
        try:
            answer = await site.http.post(path, content=endless(), headers=SIGNED_IN)
            assert answer.status_code == 413
            assert answer.json()["error"] == "PayloadTooLarge"
        except httpx.TransportError:
            pass  # the server closed while we were still writing
        assert (await site.http.get("/things/1")).status_code == 200


async def test_other_routes_have_a_bound_too(start: Any) -> None:
    async with start(max_body_bytes=1000) as site:
        assert (await site.http.post("/raw-size", content=b"x" * 1001)).status_code == 413
        assert (await site.http.post("/raw-size", content=b"x" * 1000)).json()["size"] == 1000


@pytest.mark.parametrize("path", ["/hot", "/raw-size"])
@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.compress), ("identity", lambda data: data)],
)
async def test_packed_bodies_are_unpacked(site: Any, path: str, encoding: str, pack: Any) -> None:
    answer = await site.http.post(path, content=pack(b"x" * 150_000), headers={**SIGNED_IN, "Content-Encoding": encoding})
    assert answer.json()["size"] == 150_000


@pytest.mark.parametrize("path", ["/hot", "/raw-size"])
async def test_a_bomb_is_refused_by_what_it_would_unpack_to(start: Any, path: str) -> None:
    async with start(rate_limit_enabled=False, max_body_bytes=200_000) as site:
        bomb = gzip.compress(b"\0" * 100_000_000)
        answer = await site.http.post(path, content=bomb, headers={**SIGNED_IN, "Content-Encoding": "gzip"})
        assert answer.status_code == 413
        assert "unpacked" in answer.json()["message"]


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 400), ("zstd", 400), ("br", 415)])
async def test_a_damaged_or_unknown_packing_is_told(site: Any, encoding: str, status: int) -> None:
    for path in ("/hot", "/raw-size"):
        answer = await site.http.post(path, content=b"not packed", headers={**SIGNED_IN, "Content-Encoding": encoding})
        assert answer.status_code == status


async def test_all_unfinished_bodies_together_are_bounded(start: Any) -> None:
    async with start(rate_limit_enabled=False, max_buffered_bytes=100_000) as site:
        gate = asyncio.Event()

        async def first() -> Any:
            yield b"x" * 80_000
            await gate.wait()
            yield b"x"

        async def second() -> Any:
            yield b"x" * 60_000
            for _ in range(3):  # by then the server has read what was sent
                await site.http.get("/things/1")
            yield b"x"

        held = asyncio.create_task(site.http.post("/hot", content=first(), headers=SIGNED_IN))
        for _ in range(3):
            await site.http.get("/things/1")
        answer = await site.http.post("/hot", content=second(), headers=SIGNED_IN)
        assert (answer.status_code, answer.json()["error"]) == (503, "Overloaded")
        assert "retry-after" in answer.headers
        gate.set()
        assert (await held).status_code == 201
        answer = await site.http.post("/hot", content=second(), headers=SIGNED_IN)
        assert answer.status_code == 201, "what was held is free again"


@pytest.mark.contract("SF-44")
async def test_health_is_served_where_people_and_orchestrators_look(site: Any) -> None:
    for path in ("/health", "/healthz", "/api/v1/health"):
        answer = await site.http.get(path)
        assert (answer.status_code, answer.json()["service"]) == (200, "test")
        assert answer.headers["cache-control"] == "no-store"
    for path in ("/ready", "/readyz"):
        assert (await site.http.get(path)).status_code == 503
    site.health.started()
    assert (await site.http.get("/ready")).status_code == 200


@pytest.mark.contract("SF-23", "SF-69")
@pytest.mark.parametrize("path", ["/docs", "/swagger"])
async def test_the_api_page_needs_no_internet(site: Any, path: str) -> None:
    page = await site.http.get(path)
    assert page.headers["content-type"].startswith("text/html")
    assert "https://" not in page.text
    assert "http://" not in page.text
    for asset in ("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/start.js", "/docs/favicon.png"):
        assert asset in page.text
        answer = await site.http.get(asset)
        assert answer.status_code == 200
        assert len(answer.content) > 100
    assert "'unsafe-inline'" not in page.headers["content-security-policy"].partition("style-src")[0]


@pytest.mark.contract("SF-23")
@pytest.mark.parametrize("path", ["/openapi.json", "/api/v1/openapi.json"])
async def test_the_document_shows_hot_routes_errors_and_ways_to_sign_in(site: Any, path: str) -> None:
    document = (await site.http.get(path)).json()
    hot = document["paths"]["/hot"]["post"]
    assert hot["summary"] == "Echo"
    assert hot["x-scope"] == "events:write"
    assert set(hot["responses"]) >= {"201", "400", "401", "403", "413", "422", "429", "503", "default"}
    error = {"$ref": "#/components/schemas/Error"}
    assert hot["responses"]["422"]["content"]["application/json"]["schema"] == error
    assert document["paths"]["/things"]["post"]["responses"]["422"]["content"]["application/json"]["schema"] == error
    assert document["components"]["schemas"]["Error"]["required"] == [
        "error",
        "message",
        "details",
        "timestamp",
        "correlation_id",
    ]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "api_key"}
    assert "delete" in document["paths"]["/hot"], "the framework's operation of the same path is kept"
