"""The one place that speaks AMQP: a connection with time limits, and the errors of the library made ours."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final, TypeVar, cast
from urllib.parse import urlsplit

import aio_pika
import aiormq
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, ExchangeType
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel as Wire
from pamqp.commands import Basic
from pamqp.common import FieldValue

from weft.core.errors import Conflict, Invalid, TimedOut, Unavailable, WeftError

logger = structlog.get_logger(__name__)
logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # what it calls errors we raise, or mend and say so

T = TypeVar("T")
Arguments = Mapping[str, str | int]

DEFAULT_EXCHANGE: Final = ""
BLOCKED: Final = "RabbitMQ is short of disk or memory and takes nothing until it has some again"
_PERSISTENT: Final = 2
_OFFSET: Final = "x-stream-offset"
_CHANNEL_CLOSE_S: Final = 1.0
_CLOSE_S: Final = 8.0
"""The library gives a dead line some 2 s; ended before that it leaves tasks behind that never end."""
_FOREIGN: Final = (aiormq.exceptions.AMQPError, OSError, EOFError, RuntimeError)


class Outcome(Enum):
    """What became of a message."""

    KEPT = auto()
    """Every queue it was routed to has it for good."""
    REFUSED = auto()
    """A queue is full or in trouble; others may have taken it."""
    UNROUTED = auto()
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Message:
    """Something to publish."""

    routing_key: str
    body: bytes
    exchange: str = DEFAULT_EXCHANGE
    mandatory: bool = False
    content_type: str | None = None
    message_id: str | None = None
    message_type: str | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message of a stream and where it stands there."""

    position: int
    body: bytes


class Link:
    """One connection. It does not mend itself: once `lost` is set it is of no use any more and a new one is made."""

    def __init__(self, url: str, *, name: str, heartbeat_s: int, timeout_s: float) -> None:
        self.lost = asyncio.Event()
        self.reason = ""
        self._url = url
        self._name = name
        self._heartbeat_s = heartbeat_s
        self._timeout_s = timeout_s
        self._connection: AbstractConnection | None = None
        self._control: AbstractChannel | None = None
        self._turn = asyncio.Lock()
        self._readers: set[StreamReader] = set()

    @property
    def address(self) -> str:
        """Where it leads, without the secret."""
        parts = urlsplit(self._url)
        return f"{parts.hostname}:{parts.port or 5672}"

    async def open(self) -> None:
        """Connect. Raises Unavailable where nobody answers, Invalid where the broker refuses us."""
        try:
            async with asyncio.timeout(self._timeout_s):
                # `connect` alone would not end a connection that was cut off halfway by the time limit
                self._connection = await aio_pika.connect(
                    f"{self._url}{'&' if '?' in self._url else '?'}heartbeat={self._heartbeat_s}&name={self._name}"
                )
        except (aiormq.exceptions.AuthenticationError, aiormq.exceptions.ProbableAuthenticationError) as refused:
            raise Invalid(
                f"RabbitMQ at {self.address} does not accept this user and password", field="app.log_url"
            ) from refused
        except aiormq.exceptions.ConnectionNotAllowed as refused:
            raise Invalid(
                f"RabbitMQ at {self.address} has no such virtual host for us: {refused}", field="app.log_url"
            ) from refused
        except TimeoutError as late:
            raise Unavailable(f"RabbitMQ at {self.address} did not answer in {self._timeout_s:g} s") from late
        except aiormq.exceptions.InvalidFrameError as refused:
            vhost = urlsplit(self._url).path.removeprefix("/") or "/"
            raise Unavailable(
                f"RabbitMQ at {self.address} lets us not into the virtual host '{vhost}': it is absent, forbidden or down"
            ) from refused
        except _FOREIGN as failure:
            raise Unavailable(f"RabbitMQ at {self.address} cannot be reached: {failure}") from failure
        self._connection.close_callbacks.add(self._closed)

    def _closed(self, _: object, reason: BaseException | None) -> None:
        self.lose(str(reason or "closed"))

    def lose(self, reason: str) -> None:
        """Give the connection up; who waits for it is told."""
        self.reason = self.reason or reason
        self.lost.set()
        for reader in self._readers:
            reader.end()

    async def close(self) -> None:
        """End the connection, politely where the broker still listens."""
        connection, self._connection = self._connection, None
        self.lose("closed")
        if connection is not None:
            # Not awaited itself: where publishes were under way it may swallow being cancelled, and never end.
            closing = asyncio.ensure_future(connection.close())
            closing.add_done_callback(_hear)
            await asyncio.wait({closing}, timeout=_CLOSE_S)
            closing.cancel()

    async def limited(self, work: Awaitable[T], doing: str) -> T:
        """The result of some work; raises Unavailable where the connection is lost, TimedOut where it takes too long."""
        task = asyncio.ensure_future(work)
        lost = asyncio.ensure_future(self.lost.wait())
        try:
            done, _ = await asyncio.wait({task, lost}, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if task in done:
                if task.cancelled():  # the library does that to whoever waits when a connection ends
                    raise Unavailable(f"the connection to RabbitMQ was lost while {doing}: {self.reason}")
                return task.result()
            if lost in done:
                raise Unavailable(f"the connection to RabbitMQ was lost while {doing}: {self.reason}")
            if not await self.is_blocked():
                self.lose(f"no answer within {self._timeout_s:g} s while {doing}")
            raise TimedOut(f"RabbitMQ at {self.address} did not answer in {self._timeout_s:g} s while {doing}")
        except WeftError:
            raise
        except _FOREIGN as failure:
            raise Unavailable(f"RabbitMQ failed while {doing}: {failure}") from failure
        finally:
            for ours in (task, lost):
                ours.cancel()
            await asyncio.gather(task, lost, return_exceptions=True)

    async def is_blocked(self) -> bool:
        """Whether the broker has said that it is short of disk or memory and takes nothing."""
        transport = None if self._connection is None else self._connection.transport
        if transport is None or self.lost.is_set():
            return False
        ready = asyncio.ensure_future(transport.connection.ready())
        await asyncio.sleep(0)
        is_ready = ready.done()
        ready.cancel()
        await asyncio.gather(ready, return_exceptions=True)
        return not is_ready

    async def channel(self, *, confirms: bool = False) -> AbstractChannel:
        """A new channel."""
        if self._connection is None or self.lost.is_set():
            raise Unavailable(f"there is no connection to RabbitMQ at {self.address}: {self.reason}")
        channel = self._connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        await self.limited(channel.initialize(), "opening a channel")
        return channel

    async def publisher(self) -> "Publisher":
        """A channel for messages whose fate is told."""
        return Publisher(self, await _wire(await self.channel(confirms=True)))

    async def declare_stream(self, name: str, arguments: Arguments) -> None:
        """See that there is a stream. One that is there already keeps the arguments it was made with."""
        try:
            await self._declare(name, {"x-queue-type": "stream", **arguments})
        except Conflict as other:
            logger.warning("rabbitmq_stream_differs", stream=name, reason=other.message, advice="set a policy to change it")

    async def declare_queue(self, name: str, arguments: Arguments) -> None:
        """See that there is a durable queue. Raises Conflict where there is a different one of that name."""
        await self._declare(name, arguments)

    async def declare_exchange(self, name: str) -> None:
        """See that there is a durable topic exchange. Raises Conflict where there is a different one of that name."""
        await self._do(
            lambda channel: channel.declare_exchange(name, ExchangeType.TOPIC, durable=True), f"declaring the exchange {name}"
        )

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        """Let a queue have what passes an exchange."""

        async def work(channel: AbstractChannel) -> None:
            await (await channel.get_queue(queue, ensure=False)).bind(exchange, routing_key)

        await self._do(work, f"binding the queue {queue}")

    async def consumers(self, queue: str) -> int:
        """How many consume from a queue."""

        async def work(channel: AbstractChannel) -> int:
            found = await channel.declare_queue(queue, passive=True)
            return found.declaration_result.consumer_count or 0

        return await self._do(work, f"looking at the queue {queue}")

    async def lock(self, name: str) -> bool:
        """Take a name for as long as this connection lives; False where another connection has it."""
        try:
            await self._do(lambda channel: channel.declare_queue(name, exclusive=True), f"taking {name}")
        except Conflict:
            return False
        return True

    async def unlock(self, name: str) -> None:
        """Give a name back."""
        await self._do(lambda channel: channel.queue_delete(name), f"giving back {name}")

    async def declare_presence(self, name: str) -> None:
        """See that there is a queue whose consumers can be counted; it goes away with the last of them."""
        await self._do(lambda channel: channel.declare_queue(name, auto_delete=True), f"declaring the queue {name}")

    async def _declare(self, name: str, arguments: Arguments) -> None:
        await self._do(
            lambda channel: channel.declare_queue(name, durable=True, arguments=dict(arguments)), f"declaring the queue {name}"
        )

    async def _do(self, work: Callable[[AbstractChannel], Awaitable[T]], doing: str) -> T:
        """Something on a channel kept for that; a refusal of the broker closes the channel, so the next one is new."""
        async with self._turn:
            if self._control is None or self._control.is_closed:
                self._control = await self.channel()
            channel = self._control

            async def answered() -> T:
                try:
                    return await work(channel)
                except (aiormq.exceptions.ChannelPreconditionFailed, aiormq.exceptions.ChannelLockedResource) as refused:
                    raise Conflict(f"RabbitMQ refused {doing}: {refused}") from refused

            return await self.limited(answered(), doing)

    async def ping(self) -> None:
        """A question and its answer: finds out that the other side is gone though nothing was said."""
        await self._do(lambda channel: channel.set_qos(prefetch_count=1), "asking whether it is there")

    @asynccontextmanager
    async def stream(self, name: str, start: int | str | datetime, *, prefetch: int) -> AsyncGenerator["StreamReader"]:
        """Read a stream from a position, `first`, or a time on."""
        channel = await self.channel()
        wire = await _wire(channel)
        reader = StreamReader(self, wire)
        channel.close_callbacks.add(reader.end)
        self._readers.add(reader)
        try:
            await self.limited(wire.basic_qos(prefetch_count=prefetch), f"reading {name}")
            arguments: dict[str, FieldValue] = {_OFFSET: start}
            await self.limited(wire.basic_consume(name, reader.take, arguments=arguments), f"reading {name}")
            yield reader
        finally:
            self._readers.discard(reader)
            await _close(channel)

    @asynccontextmanager
    async def present(self, queue: str) -> AsyncGenerator[None]:
        """Be counted as a consumer of a queue."""
        channel = await self.channel()
        wire = await _wire(channel)
        try:
            await self.limited(wire.basic_consume(queue, _ignore), f"reading {queue}")
            yield
        finally:
            await _close(channel)


async def _ignore(message: DeliveredMessage) -> None:
    """Nothing is ever sent to such a queue."""


async def _close(channel: AbstractChannel) -> None:
    with contextlib.suppress(*_FOREIGN, TimeoutError):
        async with asyncio.timeout(_CHANNEL_CLOSE_S):
            await channel.close()


async def _wire(channel: AbstractChannel) -> Wire:
    return cast("Wire", await channel.get_underlay_channel())


class Publisher:
    """Publishes and waits until the broker says what became of it."""

    def __init__(self, link: Link, wire: Wire) -> None:
        self._link = link
        self._wire = wire

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Publish messages in order and tell the fate of each; raises Unavailable or TimedOut where it is not known."""
        if await self._link.is_blocked():
            raise Unavailable(BLOCKED)
        if len(messages) == 1:
            return [await self._link.limited(self._one(messages[0]), "publishing")]
        return await self._link.limited(asyncio.gather(*map(self._one, messages)), f"publishing {len(messages)} messages")

    async def _one(self, message: Message) -> Outcome:
        properties = Basic.Properties(
            delivery_mode=_PERSISTENT,
            content_type=message.content_type,
            message_id=message.message_id,
            message_type=message.message_type,
        )
        try:
            await self._wire.basic_publish(
                message.body,
                exchange=message.exchange,
                routing_key=message.routing_key,
                mandatory=message.mandatory,
                properties=properties,
                wait=False,
            )
        except aiormq.exceptions.PublishError:
            return Outcome.UNROUTED
        except aiormq.exceptions.DeliveryError:
            return Outcome.REFUSED
        return Outcome.KEPT


class StreamReader:
    """What a stream delivers, in order."""

    def __init__(self, link: Link, wire: Wire) -> None:
        self._link = link
        self._wire = wire
        self._arrived: deque[DeliveredMessage] = deque()
        self._changed = asyncio.Event()
        self._is_over = False

    async def take(self, message: DeliveredMessage) -> None:
        """Called by the library, in order."""
        self._arrived.append(message)
        self._changed.set()

    def end(self, *_: object) -> None:
        """Nothing will come any more."""
        self._is_over = True
        self._changed.set()

    async def _next(self, timeout_s: float | None) -> DeliveredMessage:
        while not self._arrived:
            if self._is_over:
                raise Unavailable(f"the connection to RabbitMQ was lost: {self._link.reason or 'the channel was closed'}")
            self._changed.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
            except TimeoutError as late:
                raise TimedOut(f"nothing came from RabbitMQ in {timeout_s} s") from late
        return self._arrived.popleft()

    async def _answer(self, answer: Awaitable[None]) -> None:
        try:
            await answer
        except _FOREIGN as failure:
            raise Unavailable(f"the connection to RabbitMQ was lost: {failure}") from failure

    async def next(self, *, timeout_s: float | None = None) -> Delivered:
        """The next message; raises Unavailable where the connection is lost, TimedOut after `timeout_s` without one."""
        message = await self._next(timeout_s)
        await self._answer(self._wire.basic_ack(cast("int", message.delivery_tag), wait=False))
        headers = message.header.properties.headers or {}
        return Delivered(cast("int", headers[_OFFSET]), message.body)


def _hear(closing: "asyncio.Future[None]") -> None:
    """A connection that is ended has nothing more to say, whatever went wrong."""
    if not closing.cancelled():
        closing.exception()
