"""Remember: when a partition is opened, what of it may repeat, from the keys that stand beside the batches."""

import numpy as np

from weft.core.batch import UInt64s
from weft.log.kept import KeptRepeats, within
from weft.log.repeats import Place, RepeatIndex
from weft.log.sqlite.ledger import Ledger
from weft.log.sqlite.reading import PartitionReader
from weft.log.unique import Unique


def remember(unique: Unique, ledger: Ledger, reader: PartitionReader, now_us: int) -> None:
    """Remember what the horizon holds. Newest segments first, until enough."""
    index = unique.index
    oldest_us = now_us - index.age_us
    unique.restore(within([KeptRepeats.from_bytes(*row) for row in ledger.kept_repeats()], oldest_us))
    found: list[tuple[Place, UInt64s, int]] = []
    count = 0
    for number in reversed(reader.segments()):
        facts = reader.facts(number)
        if facts is None or count >= index.count:
            break
        names = {start.number: name for name, start in facts.starts.items()}
        part = [
            (
                Place(names[topic], header.first_offset, header.next_offset),
                RepeatIndex.salted(names[topic], np.frombuffer(packed, dtype=np.uint64)),
                header.received_last_us,
            )
            for topic, header, packed in reader.keys(number)
            if header.received_last_us > oldest_us
        ]
        found[:0] = sorted(part, key=_received)
        count += sum(len(keys) for _, keys, _ in part)
    for place, keys, received_us in found:
        index.add(place, keys, received_us, now_us)


def _received(remembered: tuple[Place, UInt64s, int]) -> int:
    return remembered[2]
