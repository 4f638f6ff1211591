"""Taking log batches in: positions, repeats and events in one transaction, so that a crash or a second writer changes nothing.

The locks of every transaction of the store are taken in one order (positions, then ids, then events, each sorted), so two of
them never wait for each other.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.core.position import TopicPartition
from weft.store.given import Given, check_times, given_ids
from weft.store.postgres.connect import Link
from weft.store.postgres.encode import HEADER, TRAILER, Bools, Rows, encode
from weft.store.postgres.exact import column_text
from weft.store.postgres.months import Month, months_of
from weft.store.postgres.schema import EVENT_COLUMNS, quoted
from weft.store.query import TopicCount

KEY_BYTES: Final = 16
KEY_SQL: Final = "substr(sha256(convert_to(topic || '/' || length(source) || ':' || source || id, 'UTF8')), 1, 16)"
"""The key of an event as SQL; `key_of` in Python gives the same."""


def key_of(given: Given) -> bytes:
    """128 bits of SHA-256 over topic, source and id: nobody can find two that are equal."""
    topic, source, event_id = given[0], column_text(given[1]), column_text(given[2])
    return hashlib.sha256(f"{topic}/{len(source)}:{source}{event_id}".encode()).digest()[:KEY_BYTES]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch, decoded and encoded before any transaction begins."""

    batch: LogBatch
    rows: Rows | None = None
    keys: dict[int, bytes] = field(default_factory=dict[int, bytes])
    months: Sequence[Month] = ()

    @property
    def place(self) -> TopicPartition:
        """Where in the log it stands."""
        return TopicPartition(self.batch.topic, self.batch.partition)


def prepare(batch: LogBatch, cutoff_us: int | None, *, doubted: bool = False) -> Prepared:
    """All that costs time and needs no database. Raises Corrupt where the batch cannot be read."""
    if not batch.count:
        return Prepared(batch)
    check_times(batch)
    keys = {index: key_of(given) for index, given in given_ids(batch).items()}
    times = batch.times_us if cutoff_us is None else batch.times_us[batch.times_us >= cutoff_us]
    return Prepared(batch, encode(batch, doubted=doubted), keys, months_of(times))


@dataclass(slots=True)
class _Account:
    position: int
    stored: int = 0
    repeats: int = 0
    expired: int = 0
    ticks: int = 0
    skipped: int = 0


@dataclass(slots=True)
class _New:
    """What of a batch is new."""

    prepared: Prepared
    account: _Account
    keep: Bools


class Taking:
    """Writes prepared batches of a schema."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._name = quoted(schema)

    async def take(
        self, link: Link, prepared: Sequence[Prepared], cutoffs_us: dict[str, int | None]
    ) -> dict[TopicPartition, int]:
        """Store what is new of some batches, all or nothing; returns where their partitions stand afterwards."""
        async with link.transaction():
            accounts = await self._lock(link, sorted({some.place for some in prepared}))
            news = [new for some in prepared if (new := _book(some, accounts[some.place], cutoffs_us.get(some.batch.topic)))]
            await self._drop_repeats(link, news)
            pieces = [new.prepared.rows.kept(new.keep) for new in news if new.prepared.rows is not None]
            if any(len(piece) for piece in pieces):
                await link.copy(self._schema, "events", EVENT_COLUMNS, [HEADER, *pieces, TRAILER])
            for new in news:
                new.account.stored += int(new.keep.sum())
            await self._move(link, accounts)
        return {place: account.position for place, account in accounts.items()}

    async def _lock(self, link: Link, places: Sequence[TopicPartition]) -> dict[TopicPartition, _Account]:
        topics, partitions = [place.topic for place in places], [place.partition for place in places]
        table = f"{self._name}.event_positions"
        wanted = 'SELECT * FROM unnest($1::text[], $2::int[]) AS wanted (topic, "partition")'
        sql = (
            f'SELECT topic, "partition", position FROM {table} WHERE (topic, "partition") IN ({wanted})'
            ' ORDER BY topic, "partition" FOR UPDATE'
        )
        found = await link.rows(sql, topics, partitions)
        if len(found) < len(places):
            insert = f'INSERT INTO {table} (topic, "partition") {wanted} ORDER BY 1, 2 ON CONFLICT DO NOTHING'
            await link.run(insert, topics, partitions)
            found = await link.rows(sql, topics, partitions)
        return {TopicPartition(topic, partition): _Account(position) for topic, partition, position in found}

    async def _drop_repeats(self, link: Link, news: Sequence[_New]) -> None:
        """Leave out events whose given id is stored, or came twice in these batches."""
        asked: dict[bytes, tuple[_New, int]] = {}
        for new in news:
            for index, key in new.prepared.keys.items():
                if not new.keep[index]:
                    continue
                if key in asked:
                    _repeat(new, index)
                else:
                    asked[key] = (new, index)
        if not asked:
            return
        fresh = await link.rows(
            f"INSERT INTO {self._name}.event_ids (key) SELECT * FROM unnest($1::bytea[]) ON CONFLICT DO NOTHING RETURNING key",
            sorted(asked),
        )
        for key in asked.keys() - {key for (key,) in fresh}:
            _repeat(*asked[key])

    async def _move(self, link: Link, accounts: dict[TopicPartition, _Account]) -> None:
        entries = list(accounts.items())
        columns = ("position", "stored", "repeats", "expired", "ticks", "skipped")
        added = ", ".join(f"{name} = old.{name} + new.{name}" for name in columns[1:])
        arrays = ", ".join(f"${number}::bigint[]" for number in range(3, 3 + len(columns)))
        await link.run(
            f"UPDATE {self._name}.event_positions AS old SET position = new.position, {added}"
            f' FROM unnest($1::text[], $2::int[], {arrays}) AS new (topic, "partition", {", ".join(columns)})'
            ' WHERE old.topic = new.topic AND old."partition" = new."partition"',
            [place.topic for place, _ in entries],
            [place.partition for place, _ in entries],
            *([getattr(account, name) for _, account in entries] for name in columns),
        )


async def adopt_books(link: Link, schema: str, books: Sequence[TopicCount]) -> None:
    """Put the books of another store in place of ours."""
    columns = ("position", "stored", "repeats", "expired", "ticks", "skipped", "erased", "retired")
    arrays = ", ".join(f"${number}::bigint[]" for number in range(3, 3 + len(columns)))
    await link.run(
        f'INSERT INTO {quoted(schema)}.event_positions (topic, "partition", {", ".join(columns)})'
        f" SELECT * FROM unnest($1::text[], $2::int[], {arrays}) ORDER BY 1, 2"
        f' ON CONFLICT (topic, "partition") DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in columns)}',
        [count.topic for count in books],
        [count.partition for count in books],
        *([getattr(count, name if name == "position" else f"{name}_total") for count in books] for name in columns),
    )


def _book(prepared: Prepared, account: _Account, cutoff_us: int | None) -> _New | None:
    """Move a partition's account over a batch; None where nothing of it is new."""
    batch = prepared.batch
    if batch.next_offset <= account.position:
        return None
    keep = np.ones(batch.count, dtype=np.bool_)
    keep[: max(0, account.position - batch.first_offset)] = False
    account.skipped += max(0, batch.first_offset - account.position)
    account.position = batch.next_offset
    if not batch.count:
        account.ticks += batch.next_offset - batch.first_offset
    elif cutoff_us is not None:
        late = keep & (batch.times_us < cutoff_us)
        account.expired += int(late.sum())
        keep &= ~late
    return _New(prepared, account, keep)


def _repeat(new: _New, index: int) -> None:
    new.keep[index] = False
    new.account.repeats += 1


def corrupt(batch: LogBatch, reason: str) -> Corrupt:
    """A batch that PostgreSQL cannot hold."""
    return Corrupt(
        f"the batch at {batch.topic}/{batch.partition}/{batch.first_offset} cannot be stored: {reason}",
        topic=batch.topic,
        partition=batch.partition,
        offset=batch.first_offset,
    )
