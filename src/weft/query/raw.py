"""Events as they stand in the log: one partition, from an offset on."""

import msgspec

from weft.core.errors import NotFound
from weft.core.position import TopicPartition
from weft.log.port import Log
from weft.query.parameters import ReadQuery
from weft.query.shapes import EventBody, row_body

_CHUNK_BYTES = 1024 * 1024


class RawPage(msgspec.Struct, kw_only=True):
    """Some events of a partition. `next_offset` asks for what follows; it equals `end_offset` at the end."""

    topic: str
    partition: int
    data: list[EventBody]
    next_offset: int
    end_offset: int


async def read_page(log: Log, topic: str, query: ReadQuery) -> RawPage:
    """Events from the offset on. Raises NotFound for an unknown partition, Corrupt at a damaged range."""
    place = TopicPartition(topic, query.partition)
    state = next((state for state in (await log.state()).partitions if (state.topic, state.partition) == place), None)
    if state is None:
        raise NotFound(f"the log has no partition {query.partition} of a topic '{topic[:128]}'", topic=topic[:128])
    events: list[EventBody] = []
    offset = query.offset
    while len(events) < query.limit:
        batches = await log.read(place, offset, max_bytes=_CHUNK_BYTES)
        if not batches:
            break
        for batch in batches:
            begin = max(offset - batch.first_offset, 0)
            end = min(batch.count, begin + query.limit - len(events))
            events += [
                row_body(
                    batch.event_rows[index],
                    event_id=batch.ids[index],
                    time_us=int(batch.times_us[index]),
                    received_at_us=int(batch.received_at_us[index]),
                    place=(topic, query.partition, batch.first_offset + index),
                )
                for index in range(begin, end)
            ]
            offset = batch.next_offset if end == batch.count else batch.first_offset + end
            if len(events) >= query.limit:
                break
    return RawPage(
        topic=topic, partition=query.partition, data=events, next_offset=offset, end_offset=max(state.end_offset, offset)
    )
