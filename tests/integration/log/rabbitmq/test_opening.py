"""Opening and closing a log on RabbitMQ, also where that cannot work: a sentence, soon, and never the secret."""

import asyncio
import time

import pytest

from tests.integration.log.rabbitmq.conftest import OpenLog
from tests.services.proxy import TcpProxy
from tests.services.rabbitmq_server import RabbitmqServer
from weft.core.clock import SystemClock
from weft.core.errors import Busy, Invalid, TooLarge, Unavailable
from weft.log.port import Appended
from weft.log.rabbitmq.log import RabbitmqLog
from weft.log.rabbitmq.settings import RabbitmqSettings
from weft.log.settings import LogSettings
from weft.testing.factories import make_batch


async def test_a_broker_that_is_not_there_is_named_without_the_secret(free_port: int, open_log: OpenLog) -> None:
    with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{free_port}") as away:
        async with open_log(f"amqp://weft:hidden@127.0.0.1:{free_port}/"):
            pass
    assert "hidden" not in away.value.message


async def test_a_wrong_password_is_a_mistake_in_the_configuration(rabbitmq_server: RabbitmqServer, open_log: OpenLog) -> None:
    with pytest.raises(Invalid) as refused:
        async with open_log(f"amqp://guest:hidden@127.0.0.1:{rabbitmq_server.port}/"):
            pass
    assert refused.value.field == "app.log_url"
    assert "hidden" not in refused.value.message


async def test_an_unknown_virtual_host_is_named(rabbitmq_server: RabbitmqServer, open_log: OpenLog) -> None:
    with pytest.raises(Unavailable, match="'nowhere'"):
        async with open_log(rabbitmq_server.url_of("nowhere")):
            pass


async def test_a_line_that_swallows_everything_is_not_waited_for_at_the_start(
    rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog
) -> None:
    with TcpProxy(rabbitmq_server.port) as proxy:
        proxy.black_hole()
        began_s = time.monotonic()
        with pytest.raises(Unavailable):
            async with open_log(rabbitmq_server.url_of(vhost, port=proxy.port), timeout_s=0.5):
                pass
        assert time.monotonic() - began_s < 5


async def test_closing_ends_soon_though_nothing_comes_through_any_more(
    rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog
) -> None:
    with TcpProxy(rabbitmq_server.port) as proxy:
        async with open_log(rabbitmq_server.url_of(vhost, port=proxy.port), timeout_s=0.5) as log:
            await log.append(make_batch(1))
            proxy.black_hole()
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 15


async def test_what_waits_for_the_broker_is_bounded_in_bytes(rabbitmq_server: RabbitmqServer, vhost: str) -> None:
    settings = LogSettings(queue_bytes=20_000, rabbitmq=RabbitmqSettings(prefix="bounded"))
    async with RabbitmqLog(rabbitmq_server.url_of(vhost), settings=settings, clock=SystemClock()) as log:
        with pytest.raises(TooLarge):
            await log.append(make_batch(1000))
        answers = await asyncio.gather(*(log.append(make_batch(20)) for _ in range(50)), return_exceptions=True)
        kept = [answer for answer in answers if isinstance(answer, Appended)]
        assert kept
        assert {type(answer) for answer in answers} == {Appended, Busy}
        assert (await log.append(make_batch(1))).first_offset == 20 * len(kept)
