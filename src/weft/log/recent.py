"""Recent batches, shared by all readers of a process, so that each is decompressed and decoded once."""

from collections import OrderedDict

from weft.core.batch import LogBatch

Key = tuple[str, int, int]


class RecentBatches:
    """The most recently used batches by topic, partition and first offset, bounded in bytes. For the loop's thread alone."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._batches: OrderedDict[Key, LogBatch] = OrderedDict()

    def add(self, batch: LogBatch) -> LogBatch:
        """Keep a batch; returns the one to share, which may have been here before."""
        key = (batch.topic, batch.partition, batch.first_offset)
        known = self._batches.get(key)
        if known is not None:
            self._batches.move_to_end(key)
            return known
        self._batches[key] = batch
        self._size_bytes += batch.size_bytes
        while self._size_bytes > self._limit_bytes:
            _, oldest = self._batches.popitem(last=False)
            self._size_bytes -= oldest.size_bytes
        return batch

    def find(self, topic: str, partition: int, first_offset: int) -> LogBatch | None:
        """The batch that begins at an offset, if it is here."""
        return self._batches.get((topic, partition, first_offset))

    def run(self, topic: str, partition: int, offset: int, max_bytes: int) -> list[LogBatch]:
        """The batches here that follow each other from `offset` on, up to about `max_bytes`."""
        found: list[LogBatch] = []
        size = 0
        while size < max_bytes and (batch := self._batches.get((topic, partition, offset))) is not None:
            found.append(batch)
            size += batch.size_bytes
            offset = batch.next_offset
        return found

    def clear(self) -> None:
        """Forget everything: events were erased."""
        self._batches.clear()
        self._size_bytes = 0
