"""State: how far a share is computed, kept whole or not at all."""

from dataclasses import dataclass, field

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.core.watermark import BEGINNING
from weft.db.database import Database
from weft.stream.tables import StreamStateRow

Offsets = dict[int, int]
"""For each partition the offset of the next event."""


class Figure(msgspec.Struct, kw_only=True):
    """One version of a query as it runs: up to where event time has come for it, and what it has done since it was made.

    `until_us` is set for a version that has a successor: it still answers the windows that begin up to then. `largest_us` is
    the largest event time of the topic so far. `failure` says why it cannot be run at all.
    """

    name: str
    version: int
    until_us: int | None = None
    largest_us: int = BEGINNING
    watermark_us: int | None = None
    keys: int = 0
    results_total: int = 0
    late_total: int = 0
    refused_total: int = 0
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """The state of a share at one moment.

    `positions` are those of its topic, up to which the snapshot is computed. `published` says for each topic of results how
    far it was filled then: what stands behind that in the log was appended after this state was saved. `outgoing` are rows of
    results to append before anything else, by topic.
    """

    share: str
    log_identity: str
    positions: Offsets
    snapshot: bytes
    published: dict[str, Offsets] = field(default_factory=dict[str, Offsets])
    outgoing: bytes = b""
    figures: dict[str, Figure] = field(default_factory=dict[str, Figure])
    saved_at_us: int = 0


async def find_state(database: Database, share: str) -> StreamState | None:
    """The state of a share, or None where nothing was ever saved. Raises Unavailable."""
    async with database.reading() as session:
        row = await session.get(StreamStateRow, share)
    return None if row is None else _read(row)


async def list_states(database: Database) -> list[StreamState]:
    """The figures of every share. The snapshots stay where they are. Raises Unavailable."""
    columns = (
        StreamStateRow.share,
        StreamStateRow.log_identity,
        StreamStateRow.positions,
        StreamStateRow.figures,
        StreamStateRow.saved_at_us,
    )
    async with database.reading() as session:
        rows = (await session.execute(select(*columns).order_by(StreamStateRow.share))).all()
    return [
        StreamState(
            share=share,
            log_identity=log_identity,
            positions=msgspec.json.decode(positions, type=Offsets),
            snapshot=b"",
            figures=msgspec.json.decode(figures, type=dict[str, Figure]),
            saved_at_us=saved_at_us,
        )
        for share, log_identity, positions, figures, saved_at_us in rows
    ]


async def save_state(session: AsyncSession, state: StreamState, *, epoch: int) -> None:
    """Write a state inside a transaction that checks the lease."""
    await session.merge(
        StreamStateRow(
            share=state.share,
            epoch=epoch,
            log_identity=state.log_identity,
            positions=msgspec.json.encode(state.positions).decode(),
            published=msgspec.json.encode(state.published).decode(),
            snapshot=state.snapshot,
            outgoing=state.outgoing,
            figures=msgspec.json.encode(state.figures).decode(),
            saved_at_us=state.saved_at_us,
        )
    )


async def forget_state(session: AsyncSession, share: str) -> None:
    """Remove a state: nobody computes the share any more."""
    await session.execute(delete(StreamStateRow).where(StreamStateRow.share == share))


def _read(row: StreamStateRow) -> StreamState:
    return StreamState(
        share=row.share,
        log_identity=row.log_identity,
        positions=msgspec.json.decode(row.positions, type=Offsets),
        snapshot=row.snapshot,
        published=msgspec.json.decode(row.published, type=dict[str, Offsets]),
        outgoing=row.outgoing,
        figures=msgspec.json.decode(row.figures, type=dict[str, Figure]),
        saved_at_us=row.saved_at_us,
    )
