"""What is revoked in one process is refused by all: at once through Redis, and within `auth.cache_s` without it."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import update

from tests.integration.auth.conftest import Installation, Open
from tests.services.fixtures import run_server
from tests.services.install import REDIS
from tests.services.proxy import TcpProxy
from tests.services.redis import RedisServer
from weft.auth.checks import auth_checks
from weft.auth.proof import Proof
from weft.auth.tables import User
from weft.cache.circuit import Circuit
from weft.cache.redis import RedisCache
from weft.cache.settings import CacheSettings
from weft.core.clock import SystemClock
from weft.core.principal import SCOPES_OF, Role
from weft.core.verdict import Level

WAIT_S = 20.0


@pytest.fixture
def cache_settings() -> CacheSettings:
    return CacheSettings(prefix=f"test-{secrets.token_hex(6)}:", timeout_s=1.0, heartbeat_s=0.2, retry_s=0.05)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.auth.revocation.PAUSE_S", 0.05)


@asynccontextmanager
async def process(opened: Open, url: str, settings: CacheSettings, *, listens: bool = True) -> AsyncIterator[Installation]:
    """One process on the database of this test and the cache at `url`."""
    circuit = Circuit(RedisCache(url, settings=settings, clock=SystemClock()), settings=settings, clock=SystemClock())
    async with circuit, opened(cache=circuit) as installation:
        started = asyncio.Event()
        listening = asyncio.create_task(installation.parts.revocations.run(started.set)) if listens else None
        if listening is not None:
            await asyncio.wait_for(started.wait(), WAIT_S)
        try:
            yield installation
        finally:
            if listening is not None:
                listening.cancel()
                await asyncio.wait([listening])


@asynccontextmanager
async def two(opened: Open, url: str, settings: CacheSettings) -> AsyncIterator[tuple[Installation, Installation]]:
    async with process(opened, url, settings) as one, process(opened, url, settings) as other:
        yield one, other


async def until_refused(installation: Installation, headers: dict[str, str]) -> None:
    """The clock of the test stands still, so nothing but word of the revocation can end this."""
    async with asyncio.timeout(WAIT_S):
        while (await installation.who(headers)).status_code != 401:  # noqa: ASYNC110 - as another program would ask
            await asyncio.sleep(0.001)


async def until_hearing(installation: Installation, *, hears: bool = True) -> None:
    async with asyncio.timeout(WAIT_S):
        while (installation.parts.revocations.deaf is None) is not hears:  # noqa: ASYNC110 - as a health check would
            await asyncio.sleep(0.005)


async def key_of(one: Installation) -> tuple[str, dict[str, str]]:
    user = await one.account("keeper@example.org", Role.OPERATOR)
    scopes = SCOPES_OF[Role.OPERATOR]
    key, text = await one.parts.api_keys.create(owner_id=user.id, name="rig", scopes=scopes, may_give=scopes)
    return key.id, {"X-API-Key": text}


async def test_a_session_that_ended_in_one_process_is_refused_by_the_others(
    opened: Open, redis_server: RedisServer, cache_settings: CacheSettings
) -> None:
    async with two(opened, redis_server.url, cache_settings) as (one, other):
        headers = await one.new(Role.USER)
        assert (await other.who(headers)).status_code == 200
        assert (await one.client.post("/auth/logout", headers=headers)).status_code == 204
        await until_refused(other, headers)


async def test_a_key_revoked_in_one_process_is_refused_by_the_others(
    opened: Open, redis_server: RedisServer, cache_settings: CacheSettings
) -> None:
    async with two(opened, redis_server.url, cache_settings) as (one, other):
        key_id, headers = await key_of(one)
        assert (await other.who(headers)).status_code == 200
        await one.parts.api_keys.revoke(key_id)
        await until_refused(other, headers)


async def test_an_account_locked_by_the_command_line_is_refused_by_every_server(
    opened: Open, redis_server: RedisServer, cache_settings: CacheSettings
) -> None:
    async with (
        process(opened, redis_server.url, cache_settings) as server,
        process(opened, redis_server.url, cache_settings, listens=False) as command_line,
    ):
        headers = await server.new(Role.USER)
        assert (await server.who(headers)).status_code == 200
        user = await command_line.parts.accounts.find_by_email("user@example.org")
        assert user is not None
        await command_line.parts.accounts.change(user.id, is_active=False)
        await until_refused(server, headers)


async def test_without_redis_the_database_is_asked_after_the_time_to_live(
    opened: Open, redis_server: RedisServer, cache_settings: CacheSettings, caplog: pytest.LogCaptureFixture
) -> None:
    with TcpProxy(redis_server.port) as proxy:
        async with two(opened, f"redis://127.0.0.1:{proxy.port}/0", cache_settings) as (one, other):
            key_id, headers = await key_of(one)
            assert (await other.who(headers)).status_code == 200
            proxy.cut()
            await until_hearing(other, hears=False)
            caplog.set_level(logging.WARNING)
            await one.parts.api_keys.revoke(key_id)
            assert "revocation_not_told" in [record.message for record in caplog.records]
            assert (await one.who(headers)).status_code == 401
            assert (await other.who(headers)).status_code == 200, "it cannot know yet; the promise is the time to live"
            other.clock.advance(other.parts.settings.cache_s)
            assert (await other.who(headers)).status_code == 401


async def test_the_verdict_says_that_no_word_comes_and_how_long_that_matters(
    opened: Open, redis_server: RedisServer, cache_settings: CacheSettings
) -> None:
    with TcpProxy(redis_server.port) as proxy:
        async with process(opened, f"redis://127.0.0.1:{proxy.port}/0", cache_settings) as one:
            check = auth_checks(one.parts)["auth.revocations"]
            assert (await check()).level is Level.FINE
            proxy.cut()
            await until_hearing(one, hears=False)
            finding = await check()
            assert finding.level is Level.LOOK
            assert "up to 5 s" in finding.why
            proxy.heal()
            await until_hearing(one)
            assert (await check()).level is Level.FINE


async def test_what_was_revoked_while_a_process_did_not_listen_is_refused_once_it_does(
    opened: Open, redis_server: RedisServer, cache_settings: CacheSettings
) -> None:
    with TcpProxy(redis_server.port) as proxy:
        async with (
            process(opened, redis_server.url, cache_settings) as one,
            process(opened, f"redis://127.0.0.1:{proxy.port}/0", cache_settings) as other,
        ):
            key_id, headers = await key_of(one)
            assert (await other.who(headers)).status_code == 200
            proxy.cut()
            await until_hearing(other, hears=False)
            await one.parts.api_keys.revoke(key_id)
            assert (await other.who(headers)).status_code == 200
            proxy.heal()
            await until_refused(other, headers)


async def test_word_that_did_not_get_through_is_passed_on_when_it_can_be(
    opened: Open, redis_server: RedisServer, cache_settings: CacheSettings
) -> None:
    with TcpProxy(redis_server.port) as proxy:
        async with (
            process(opened, f"redis://127.0.0.1:{proxy.port}/0", cache_settings) as one,
            process(opened, redis_server.url, cache_settings) as other,
        ):
            key_id, headers = await key_of(one)
            assert (await other.who(headers)).status_code == 200
            proxy.cut()
            await one.parts.api_keys.revoke(key_id)
            assert (await other.who(headers)).status_code == 200
            proxy.heal()
            await until_refused(other, headers)


async def test_a_line_that_is_dead_without_a_word_is_noticed(
    opened: Open, redis_server: RedisServer, cache_settings: CacheSettings
) -> None:
    with TcpProxy(redis_server.port) as proxy:
        async with process(opened, f"redis://127.0.0.1:{proxy.port}/0", cache_settings) as one:
            proxy.black_hole()
            await until_hearing(one, hears=False)
            proxy.heal()
            await until_hearing(one)


@pytest.fixture
def own_server(tmp_path: Path) -> Generator[RedisServer]:
    yield from run_server(RedisServer(tmp_path / "redis"), REDIS)  # pyright: ignore[reportReturnType]


async def test_a_server_that_restarts_delays_word_and_loses_none(opened: Open, own_server: RedisServer) -> None:
    settings = CacheSettings(timeout_s=1.0, retry_s=0.05)
    async with two(opened, own_server.url, settings) as (one, other):
        key_id, headers = await key_of(one)
        assert (await other.who(headers)).status_code == 200
        await asyncio.to_thread(own_server.kill)
        await one.parts.api_keys.revoke(key_id)
        await asyncio.to_thread(own_server.start)
        await until_refused(other, headers)


async def test_word_is_sent_again_though_the_line_of_the_sender_held(opened: Open, own_server: RedisServer) -> None:
    settings = CacheSettings(timeout_s=1.0, retry_s=0.05)
    async with two(opened, own_server.url, settings) as (one, other), Redis.from_url(own_server.url) as redis:
        key_id, headers = await key_of(one)
        assert (await other.who(headers)).status_code == 200
        await redis.execute_command("ACL", "SETUSER", "default", "-publish")
        await one.parts.api_keys.revoke(key_id)
        assert one.parts.revocations.deaf is None
        assert (await other.who(headers)).status_code == 200
        await redis.execute_command("ACL", "SETUSER", "default", "+publish")
        await until_refused(other, headers)


async def test_signing_in_and_out_work_without_redis(opened: Open, cache_settings: CacheSettings, free_port: int) -> None:
    async with process(opened, f"redis://127.0.0.1:{free_port}/0", cache_settings) as one:
        headers = await one.new(Role.USER)
        assert (await one.who(headers)).status_code == 200
        assert (await one.client.post("/auth/logout", headers=headers)).status_code == 204
        assert (await one.who(headers)).status_code == 401


async def test_word_of_a_kind_nobody_knows_yet_makes_everything_be_asked_anew(
    opened: Open, redis_server: RedisServer, cache_settings: CacheSettings
) -> None:
    async with process(opened, redis_server.url, cache_settings) as one:
        headers = await one.new(Role.USER)
        assert (await one.who(headers)).status_code == 200
        user = await one.parts.accounts.find_by_email("user@example.org")
        assert user is not None
        async with one.parts.database.writing() as session:  # what the newer one did, without a word we know
            await session.execute(update(User).where(User.id == user.id).values(is_active=False))
        async with RedisCache(redis_server.url, settings=cache_settings, clock=SystemClock()) as newer:
            await newer.publish("revocations", b"tenant \xff")
        await until_refused(one, headers)


async def test_a_question_asked_before_a_revocation_is_no_answer_after_it(weft: Installation) -> None:
    key_id, headers = await key_of(weft)
    authenticator, answered, let_go = weft.parts.authenticator, asyncio.Event(), asyncio.Event()
    prove = authenticator._prove_key

    async def slow(text: str) -> Proof:
        proof = await prove(text)
        answered.set()
        await let_go.wait()
        return proof

    authenticator._prove_key = slow
    early = asyncio.create_task(weft.who(headers))
    await answered.wait()
    authenticator._prove_key = prove
    await weft.parts.api_keys.revoke(key_id)
    assert (await weft.who(headers)).status_code == 401
    let_go.set()
    assert (await early).status_code == 200
    assert (await weft.who(headers)).status_code == 401
