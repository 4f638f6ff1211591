"""Upkeep: what trimming and erasing need of an owned partition. For one thread; the appender goes on beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from weft.core.errors import Unavailable
from weft.log.sqlite.checkpoint import Checkpointer
from weft.log.sqlite.kept import KeptRepeats
from weft.log.sqlite.partition import Ownership
from weft.log.sqlite.reading import PartitionReader
from weft.log.sqlite.segment import TopicEnd, file_name

_SEAL_TRIES: Final = 50


class Upkeep:
    """An owned partition while it is trimmed or erased."""

    def __init__(
        self,
        root: Path,
        ownership: Ownership,
        checkpointer: Checkpointer,
        *,
        roll: Callable[[], int],
        keep: Callable[[KeptRepeats, int], None],
    ) -> None:
        self.partition = ownership.partition
        self.folder = ownership.folder
        self.ledger = ownership.ledger
        self.reader = PartitionReader(root, ownership.partition)
        self._checkpointer = checkpointer
        self._roll = roll
        self._keep = keep

    def close(self) -> None:
        """Let go of every file."""
        self.reader.close()

    def roll(self) -> int:
        """Seal the live segment and begin another; returns the sealed one's number."""
        number = self._roll()
        for _ in range(_SEAL_TRIES):
            self.seal()
            if number in self.ledger.sealed():
                return number
        raise Unavailable(f"segment {number} of partition {self.partition} is being read; try again in a moment")

    def seal(self) -> None:
        """Seal what waits for it."""
        self._checkpointer.seal_now()

    def keep(self, kept: KeptRepeats, horizon_us: int) -> None:
        """Before a segment goes: its repeats stay recognisable, now and after a restart."""
        self._keep(kept, horizon_us)
        self.ledger.keep_repeats(kept.received_last_us, kept.to_bytes(), horizon_us)

    def size_bytes(self, number: int) -> int:
        """The size of a segment file."""
        return (self.folder / file_name(number)).stat().st_size

    def starts_after(self, number: int) -> dict[str, TopicEnd]:
        """Where the topics stood when the first readable segment after this one began."""
        for other in self.reader.segments():
            facts = self.reader.facts(other) if other > number else None
            if facts is not None:
                return facts.starts
        return {}
