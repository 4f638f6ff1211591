"""The bus: every accepted event passes a topic exchange, so that any program can listen with a queue of its own.

Publishing to an exchange nobody listens to would cost a hundred times what the log itself costs. So the first event of a
routing key asks (a mandatory message comes back where no queue takes it), and for a moment the others of that key stay silent.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import structlog

from weft.core.batch import Batch, split_rows
from weft.core.errors import Conflict, Unavailable
from weft.core.event import EMPTY_OBJECT, EventRow
from weft.core.times import to_text
from weft.log.rabbitmq.broker import Link, Message, Outcome, Publisher
from weft.log.rabbitmq.connection import Connection
from weft.log.rabbitmq.settings import RabbitmqSettings

logger = structlog.get_logger(__name__)

ANALYTICS: Final = "analytics"
ALERTS: Final = "alerts"
EVENTS: Final = "events"

_INTERNAL: Final = "weft."
_NOT_ANNOUNCED: Final = (".dlq", ".late")
_SHORT_BYTES: Final = 255
_SILENT_S: Final = 0.05
_HEARD_S: Final = 1.0
_AT_ONCE: Final = 500
_KEYS: Final = 10_000
_LOOK_S: Final = 2.0
_DEAD_EXCHANGE: Final = "events.dlx"
_DEAD_QUEUE: Final = "events.dead"


class _Typed(msgspec.Struct, gc=False):
    type: str


_TYPED: Final = msgspec.json.Decoder(list[_Typed])
_ROW: Final = msgspec.json.Decoder(EventRow)
_JSON: Final = msgspec.json.Encoder()


class Announcement(msgspec.Struct, omit_defaults=True):
    """An event as listeners get it."""

    id: str
    type: str
    source: str
    topic: str
    timestamp: str
    received_at: str
    severity: str
    subject: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    tags: tuple[str, ...] = ()
    data: msgspec.Raw = EMPTY_OBJECT
    metadata: msgspec.Raw = EMPTY_OBJECT


Key = tuple[str, str]
"""Exchange and routing key."""
Place = tuple[int, int]
"""Batch and event."""


class Bus:
    """Announces events on the exchanges and keeps the well-known queues."""

    def __init__(self, settings: RabbitmqSettings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        self._exchanges = {
            ANALYTICS: settings.exchange_analytics,
            ALERTS: settings.exchange_alerts,
            EVENTS: settings.exchange_events,
        }
        self._publisher: tuple[Link, Publisher] | None = None
        self._silent_until: dict[Key, float] = {}
        self._heard_until: dict[Key, float] = {}
        self._bound: set[str] = set()
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """See that exchanges and queues are there. Raises Conflict where there are others of their names."""
        link = self._connection.link
        try:
            for exchange in (*self._exchanges.values(), _DEAD_EXCHANGE):
                await link.declare_exchange(exchange)
            await link.declare_queue(_DEAD_QUEUE, {"x-queue-type": self._settings.queue_kind})
            await link.bind(_DEAD_QUEUE, _DEAD_EXCHANGE, "#")
            for queue in self._queues():
                await link.declare_queue(queue, self._arguments())
        except Conflict as other:
            raise Conflict(f"{other.message}; remove it or give Weft a virtual host of its own") from other
        if self._settings.queues == "always":
            for queue in self._queues():
                await self._bind(link, queue)
        elif self._settings.queues == "consumed":
            await self._look(link)
            self._watching = asyncio.create_task(self._watch(), name="rabbitmq-queues")

    async def close(self) -> None:
        """Stop looking after the queues."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def _queues(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """Each queue with the exchanges and routing keys it is bound to."""
        events = ((self._exchanges[EVENTS], "events.#"),)
        alerts = ((self._exchanges[ANALYTICS], "analytics.#"), (self._exchanges[ALERTS], "alerts.#"))
        return {"events.analytics": events, "events.storage": events, "events.dashboard": events, "alerts.engine": alerts}

    def _arguments(self) -> dict[str, str | int]:
        return {
            "x-queue-type": self._settings.queue_kind,
            "x-max-length": self._settings.queue_max_length,
            "x-message-ttl": self._settings.queue_ttl_ms,
            "x-overflow": "reject-publish",
            "x-dead-letter-exchange": _DEAD_EXCHANGE,
        }

    async def _watch(self) -> None:
        while len(self._bound) < len(self._queues()):
            await asyncio.sleep(_LOOK_S)  # a broker does not tell that somebody began to consume
            try:
                await self._look(self._connection.link)
            except Unavailable as away:
                logger.debug("rabbitmq_queues_not_seen", reason=away.message)

    async def _look(self, link: Link) -> None:
        for queue in self._queues().keys() - self._bound:
            if await link.consumers(queue):
                await self._bind(link, queue)
                logger.info("rabbitmq_queue_bound", queue=queue)

    async def _bind(self, link: Link, queue: str) -> None:
        for exchange, key in self._queues()[queue]:
            await link.bind(queue, exchange, key)
        self._bound.add(queue)
        self._silent_until.clear()

    async def announce(self, batches: Sequence[Batch]) -> set[int]:
        """Publish the events of batches to who listens; returns the indices of batches of which a full queue refused some."""
        types = {number: _types(batch) for number, batch in enumerate(batches) if _is_announced(batch.topic)}
        first = self._first(batches, types)
        now_s = asyncio.get_running_loop().time()
        asked = [(key, place) for key, place in first.items() if self._heard_until.get(key, 0) <= now_s]
        refused = await self._ask(batches, asked)
        heard = {key for key in first if key in self._heard_until}
        if not heard:
            return refused
        done = {place for _, place in asked}
        rest = [
            (key, (number, index))
            for number, kinds in types.items()
            for index, kind in enumerate(kinds)
            if (key := self._key(batches[number].topic, kind)) in heard and (number, index) not in done
        ]
        for start in range(0, len(rest), _AT_ONCE):
            part = [item for item in rest[start : start + _AT_ONCE] if item[1][0] not in refused]
            outcomes = await (await self._ready()).publish(self._messages(batches, part))
            refused |= {place[0] for (_, place), outcome in zip(part, outcomes, strict=True) if outcome is Outcome.REFUSED}
        return refused

    def _first(self, batches: Sequence[Batch], types: Mapping[int, Sequence[str]]) -> dict[Key, Place]:
        """The first event of each key that is not silent at the moment."""
        now_s = asyncio.get_running_loop().time()
        first: dict[Key, Place] = {}
        for number, kinds in types.items():
            for kind in set(kinds):
                key = self._key(batches[number].topic, kind)
                if key not in first and self._silent_until.get(key, 0) <= now_s:
                    first[key] = (number, kinds.index(kind))
        return first

    async def _ask(self, batches: Sequence[Batch], asked: Sequence[tuple[Key, Place]]) -> set[int]:
        """Publish one event of each key to learn whether anybody listens; returns the batches whose event a queue refused."""
        if not asked:
            return set()
        outcomes = await (await self._ready()).publish(self._messages(batches, asked, ask=True))
        for (key, _), outcome in zip(asked, outcomes, strict=True):
            self._learn(key, outcome)
        return {place[0] for (_, place), outcome in zip(asked, outcomes, strict=True) if outcome is Outcome.REFUSED}

    def _key(self, topic: str, kind: str) -> Key:
        word = topic if topic in self._exchanges else EVENTS
        return (self._exchanges[word], f"{word}.{kind}")

    async def _ready(self) -> Publisher:
        link = self._connection.link
        if self._publisher is None or self._publisher[0] is not link:
            self._publisher = (link, await link.publisher())
        return self._publisher[1]

    def _learn(self, key: Key, outcome: Outcome) -> None:
        now_s = asyncio.get_running_loop().time()
        if len(self._silent_until) > _KEYS:
            self._silent_until.clear()
        if len(self._heard_until) > _KEYS:
            self._heard_until.clear()
        if outcome is Outcome.UNROUTED:
            self._heard_until.pop(key, None)
            self._silent_until[key] = now_s + _SILENT_S
        else:
            self._silent_until.pop(key, None)
            self._heard_until[key] = now_s + _HEARD_S

    def _messages(self, batches: Sequence[Batch], items: Sequence[tuple[Key, Place]], *, ask: bool = False) -> list[Message]:
        rows = {number: split_rows(batches[number].rows) for number in {place[0] for _, place in items}}
        return [_message(batches[number], rows[number][index], index, key, ask=ask) for key, (number, index) in items]


def _message(batch: Batch, raw: msgspec.Raw, index: int, key: Key, *, ask: bool) -> Message:
    row = _ROW.decode(raw)
    event_id = batch.ids[index]
    body = _JSON.encode(
        Announcement(
            id=event_id,
            type=row.type,
            source=row.source,
            topic=batch.topic,
            timestamp=_text(int(batch.times_us[index])),
            received_at=_text(batch.received_at_us),
            severity=row.severity,
            subject=row.subject,
            user_id=row.user_id,
            session_id=row.session_id,
            correlation_id=row.correlation_id,
            tags=row.tags,
            data=row.data,
            metadata=row.metadata,
        )
    )
    return Message(
        _fit(key[1]),
        body,
        exchange=key[0],
        mandatory=ask,
        content_type="application/json",
        message_id=_fit(event_id),
        message_type=_fit(row.type),
    )


def _is_announced(topic: str) -> bool:
    return not topic.startswith(_INTERNAL) and not topic.endswith(_NOT_ANNOUNCED)


def _types(batch: Batch) -> list[str]:
    return [row.type for row in _TYPED.decode(b"[" + batch.rows + b"]")]


def _fit(text: str) -> str:
    """AMQP has room for 255 bytes."""
    return text.encode()[:_SHORT_BYTES].decode(errors="ignore")


def _text(time_us: int) -> str:
    try:
        return to_text(time_us)
    except (OverflowError, ValueError):  # beyond the calendar
        return f"{time_us} us"
