"""Outcome: what came out of the passes over one batch so far."""

from dataclasses import dataclass, field

from weft.stream.engine.block import Block, Results
from weft.stream.engine.taken import Late, Taken


@dataclass(slots=True)
class Outcome:
    """What came out of a step so far."""

    blocks: list[Block] = field(default_factory=list[Block])
    late: dict[tuple[int, int], tuple[int, list[str]]] = field(default_factory=dict[tuple[int, int], tuple[int, list[str]]])
    """By partition and offset the event time and the queries."""
    refused: dict[str, int] = field(default_factory=dict[str, int])

    def taken(self, topic: str) -> Taken:
        """What an engine answers; late events are in the order of partition and offset."""
        late = [
            Late(topic=topic, partition=partition, offset=offset, time_us=time_us, queries=tuple(queries))
            for (partition, offset), (time_us, queries) in sorted(self.late.items())
        ]
        return Taken(results=Results(self.blocks), late=late, refused=self.refused)
