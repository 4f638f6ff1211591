"""PostgreSQL away: 503 with a time to come back, never a 500 and never an open door; then everything goes on by itself."""

from collections.abc import AsyncIterator, Generator

import pytest

from tests.integration.auth.conftest import PASSWORD, Installation, Open, bearer
from tests.services.postgres import PostgresServer
from tests.services.proxy import TcpProxy
from weft.core.errors import Unavailable
from weft.core.principal import Role
from weft.db.settings import DbSettings


@pytest.fixture
def kind() -> str:
    return "postgresql"


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Generator[TcpProxy]:
    with TcpProxy(postgres_server.port) as proxy:
        yield proxy


@pytest.fixture
async def weft(opened: Open, url: str, proxy: TcpProxy, postgres_server: PostgresServer) -> AsyncIterator[Installation]:
    through = url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
    hasty = DbSettings(connect_timeout_s=0.3, answer_timeout_s=0.3, busy_timeout_s=1)
    async with opened(url=through, db=hasty, cache_s=5) as installation:
        yield installation


@pytest.mark.contract("SF-17")
@pytest.mark.parametrize("trouble", ["cut", "black_hole"])
async def test_without_the_database_nobody_new_comes_in_and_everybody_is_told(
    weft: Installation, proxy: TcpProxy, trouble: str
) -> None:
    headers = await weft.new(Role.OPERATOR)
    made = await weft.client.post("/api/v1/api-keys", headers=headers, json={"name": "rig", "scopes": ["events:write"]})
    known, unused = {"X-API-Key": made.json()["key"]}, bearer((await weft.tokens("operator@example.org"))["access_token"])
    assert (await weft.who(known)).status_code == 200
    getattr(proxy, trouble)()

    login = {"username": "operator@example.org", "password": PASSWORD}
    refused = [
        await weft.client.post("/auth/login", json=login),
        await weft.client.post("/auth/login", json={**login, "password": "wrong"}),
        await weft.who(unused),
        await weft.who({"X-API-Key": "weft_abcdefgh_nonsense"}),
        await weft.client.get("/api/v1/api-keys", headers=headers),
        await weft.client.delete(f"/api/v1/api-keys/{made.json()['id']}", headers=headers),
    ]
    assert [(answer.status_code, answer.json()["error"]) for answer in refused] == [(503, "ServiceUnavailable")] * len(refused)
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert (await weft.who(known)).status_code == 200, "asked a moment ago"
    weft.clock.advance(5)
    assert (await weft.who(known)).status_code == 503, "and no longer than auth.cache_s"

    proxy.heal()
    for _ in range(50):
        try:
            await weft.parts.database.probe()
        except Unavailable:
            continue
    assert (await weft.who(known)).status_code == 200
    assert (await weft.client.post("/auth/login", json=login)).status_code == 200
