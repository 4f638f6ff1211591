"""Progress: how far a query is answered, as the last saved state says, whichever process computes it."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from pydantic import BaseModel, Field

from weft.core import times
from weft.db.database import Database
from weft.log.port import Log, LogState
from weft.stream.catalogue import StoredQuery
from weft.stream.state import Figure, StreamState, list_states


class Progress(BaseModel):
    """How far a query is answered."""

    is_running: bool = Field(description="False until the newest version has begun, and where it cannot be computed.")
    failure: str | None = Field(description="Why it cannot be computed.")
    watermark: str | None = Field(description="Windows that end before this are over.")
    lag: int = Field(description="Offsets of its topic that were not yet read when its state was saved.")
    keys: int = Field(description="Keys it holds in memory: those with an open window, and some of windows just closed.")
    results: int = Field(description="Results so far, of this version and of those that still run beside it.")
    late: int = Field(description="Events that came too late for it.")
    refused: int = Field(description="Events that were not counted because its memory was full.")
    saved_at: str = Field(description="When this was so.")


class Kept(Protocol):
    """What progress is read from."""

    @property
    def database(self) -> Database:
        """Where states are saved."""
        ...

    @property
    def log(self) -> Log:
        """Where the ends of topics are."""
        ...


async def progress_of(kept: Kept, queries: Iterable[StoredQuery]) -> Mapping[str, Progress]:
    """The progress of queries by name; one that nobody has begun with is left out."""
    states = {state.share: state for state in await list_states(kept.database)}
    log_state = await kept.log.state()
    found: dict[str, Progress] = {}
    for one in queries:
        state = states.get(one.query.topic)
        figures = [] if state is None else [figure for figure in state.figures.values() if figure.name == one.query.name]
        if state is not None and figures:
            found[one.query.name] = _progress(one, state, figures, log_state)
    return found


def _progress(one: StoredQuery, state: StreamState, figures: list[Figure], log_state: LogState) -> Progress:
    newest = max(figures, key=lambda figure: figure.version)
    return Progress(
        is_running=newest.version == one.version and newest.failure is None,
        failure=newest.failure,
        watermark=None if newest.watermark_us is None else times.to_text(newest.watermark_us),
        lag=sum(
            max(part.end_offset - max(state.positions.get(part.partition, 0), part.start_offset), 0)
            for part in log_state.partitions
            if part.topic == one.query.topic
        ),
        keys=newest.keys,
        results=sum(figure.results_total for figure in figures),
        late=sum(figure.late_total for figure in figures),
        refused=sum(figure.refused_total for figure in figures),
        saved_at=times.to_text(state.saved_at_us),
    )
