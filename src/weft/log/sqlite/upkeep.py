"""Upkeep: what trimming needs of an owned partition. For one thread; the appender goes on beside it."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from weft.core.clock import Clock
from weft.log.kept import KeptRepeats
from weft.log.settings import LogSettings
from weft.log.sqlite.checkpoint import Checkpointer
from weft.log.sqlite.live import LiveSegment
from weft.log.sqlite.partition import Ownership
from weft.log.sqlite.reading import PartitionReader
from weft.log.sqlite.segment import file_name
from weft.log.topic_end import TopicEnd


class Upkeep:
    """An owned partition while it is looked after."""

    def __init__(
        self,
        root: Path,
        ownership: Ownership,
        checkpointer: Checkpointer,
        *,
        roll: Callable[[], None],
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

    def roll(self) -> None:
        """Seal the live segment, if there is anything in it, and begin another."""
        self._roll()
        self.seal()

    def seal(self) -> None:
        """Seal what was left and waits for it."""
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


@contextmanager
def taken(root: Path, partition: int, settings: LogSettings, clock: Clock) -> Generator[Upkeep | None]:
    """A partition that no process appends to, owned for a moment; None where one does."""
    with ExitStack() as opened:
        ownership = Ownership.take_one(root, partition)
        if isinstance(ownership, str):
            yield None
            return
        opened.callback(ownership.release)
        checkpointer = Checkpointer(ownership, settings.checkpoint_interval_s)
        opened.callback(checkpointer.close)
        live = LiveSegment(ownership, checkpointer, settings, clock)
        opened.callback(live.close)
        live.open({})
        upkeep = Upkeep(root, ownership, checkpointer, roll=live.roll, keep=_keep_nothing)
        opened.callback(upkeep.close)
        yield upkeep


def _keep_nothing(_kept: KeptRepeats, _horizon_us: int) -> None:
    """Nobody appends, so there is no index to tell; the ledger has it for the next owner."""
