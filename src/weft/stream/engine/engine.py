"""Engine: takes batches of the log in the order of each partition and answers with the results of windows that are over."""

from collections.abc import Iterable, Mapping

from weft.core.batch import LogBatch
from weft.core.position import Positions
from weft.stream.engine.taken import Taken
from weft.stream.query import Query


class Engine:
    """Runs many queries over the same batches. Nothing outside changes what it answers: no clock, no files, no network.

    `bound_us` is how far events of a topic may be out of order, for the topics that differ from `default_bound_us`.
    `limit_bytes` bounds the state of each pass (queries with the same topic, key, window and lateness); what would need more
    is refused, counted and named, never answered wrongly.
    """

    def __init__(
        self, *, default_bound_us: int, bound_us: Mapping[str, int] | None = None, limit_bytes: int = 512 << 20
    ) -> None:
        raise NotImplementedError

    @property
    def positions(self) -> Positions:
        """For each partition the offset from which on it needs batches; the least of all queries."""
        raise NotImplementedError

    def add(self, query: Query, version: int, *, positions: Positions | None = None) -> None:
        """Answer one more query, from now on, or from `positions` on where they are given (what was read before comes again).

        Takes the place of an older version of the same name, whose open windows are not answered any more.
        """
        raise NotImplementedError

    def remove(self, name: str) -> None:
        """Stop answering a query; its open windows are forgotten. One that is not there is no fault."""
        raise NotImplementedError

    def partitions(self, topic: str, partitions: Iterable[int]) -> Taken:
        """Say which partitions of a topic hold its windows open; until it is said, those that a batch came from.

        One that is left out (nobody owns it any more) delays nothing: what comes from it for a window that is over is late.
        """
        raise NotImplementedError

    def take(self, batch: LogBatch) -> Taken:
        """Take in one batch or tick; what it holds below a query's position was counted before and is passed over.

        Raises Corrupt where the rows cannot be read; then nothing was taken.
        """
        raise NotImplementedError

    def snapshot(self) -> bytes:
        """Everything: queries, positions, watermarks, open windows."""
        raise NotImplementedError

    def restore(self, snapshot: bytes) -> None:
        """Go on where `snapshot` was made. Raises Corrupt where it cannot be read."""
        raise NotImplementedError
