"""Conservation (promise P2): what was accepted is stored, or somewhere else that has a name. Pure bookkeeping.

accepted = stored + repeats + expired + late + dead-lettered + damaged + erased unread + in flight

Take the store's state first and the log's second: then whatever moved in between is still in flight and nothing seems lost.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from weft.core.position import TopicPartition
from weft.log.port import Damage, Log, LogState, PartitionState
from weft.query.dead import Dead, DeadIndex
from weft.store.port import EventStore
from weft.store.query import StoreState, TopicCount


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Where the events of one topic are. `difference` counts those that are nowhere; it must be 0.

    `in_flight_most` is how many events can be on their way at most: the offsets between the store's position and the log's end.
    `difference` below 0 means that the store holds more than the log ever accepted.
    """

    topic: str
    accepted: int
    stored: int
    repeats: int
    expired: int
    late: int
    dead_lettered: int
    damaged: int
    erased: int
    in_flight: int
    in_flight_most: int
    difference: int


class Conservation(msgspec.Struct, frozen=True, kw_only=True):
    """All balances, by topic."""

    topics: list[Balance]

    @property
    def difference(self) -> int:
        """Events that are nowhere or too many, over all topics, as a number that only 0 makes fine."""
        return sum(abs(balance.difference) for balance in self.topics)

    @property
    def damaged(self) -> int:
        """Offsets that failed their check and are set aside."""
        return sum(balance.damaged for balance in self.topics)

    @property
    def in_flight(self) -> int:
        """Events the store has not read yet."""
        return sum(balance.in_flight for balance in self.topics)


def settle(store: StoreState, log: LogState, dead: Dead | None = None) -> Conservation:
    """The balances from the two states and the dead letters."""
    counts = {TopicPartition(count.topic, count.partition): count for count in store.topics}
    topics: dict[str, list[PartitionState]] = {place.topic: [] for place in counts}
    for partition in log.partitions:
        topics.setdefault(partition.topic, []).append(partition)
    return Conservation(
        topics=[_balance(topic, topics[topic], counts, log.damages, dead or Dead()) for topic in sorted(topics)]
    )


async def balance(log: Log, store: EventStore, index: DeadIndex) -> Conservation:
    """The balances of this moment. Raises Unavailable where log or store cannot be asked."""
    store_state = await store.state()
    log_state = (await log.state()).require_current()
    return settle(store_state, log_state, await index.look(log_state))


def _balance(
    topic: str,
    partitions: Sequence[PartitionState],
    counts: Mapping[TopicPartition, TopicCount],
    damages: Iterable[Damage],
    dead: Dead,
) -> Balance:
    # Partitions below 0 hold what was carried over from another log, which this one never accepted.
    held = [count for place, count in counts.items() if place.topic == topic and place.partition >= 0]
    accepted = sum(partition.events_total for partition in partitions)
    stored = sum(count.stored_total for count in held)
    repeats = sum(count.repeats_total for count in held)
    expired = sum(count.expired_total for count in held)
    in_flight_most = sum(_ahead(partition, counts) for partition in partitions)
    rest = Rest(accepted - stored - repeats - expired)
    in_flight = rest.take(in_flight_most)
    # What is left now must be among the offsets the store says it was never handed, and each of those must have a reason.
    skipped = Rest(sum(count.skipped_total for count in held))
    letters = skipped.left if topic in dead.forgotten else dead.counts.get(topic, 0)
    dead_lettered = rest.take(skipped.take(letters))
    damaged = rest.take(skipped.take(sum(_behind(damage, counts) for damage in damages if damage.topic == topic)))
    erased = rest.take(skipped.take(sum(partition.events_erased for partition in partitions)))
    return Balance(
        topic=topic,
        accepted=accepted,
        stored=stored,
        repeats=repeats,
        expired=expired,
        late=0,
        dead_lettered=dead_lettered,
        damaged=damaged,
        erased=erased,
        in_flight=in_flight,
        in_flight_most=in_flight_most,
        difference=rest.left,
    )


class Rest:
    """What is not yet explained. Below 0 there is too much, and nothing can be taken any more."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, most: int) -> int:
        """Explain up to `most` of it; returns how much."""
        taken = min(max(self.left, 0), max(most, 0))
        self.left -= taken
        return taken


def _ahead(partition: PartitionState, counts: Mapping[TopicPartition, TopicCount]) -> int:
    """Offsets of a partition that the store has still to read."""
    held = counts.get(TopicPartition(partition.topic, partition.partition))
    position = max(held.position if held else 0, partition.start_offset)
    return max(partition.end_offset - position, 0)


def _behind(damage: Damage, counts: Mapping[TopicPartition, TopicCount]) -> int:
    """Offsets of a damaged range that the store has already stepped over."""
    held = counts.get(TopicPartition(damage.topic, damage.partition))
    return max(min(held.position if held else 0, damage.next_offset) - damage.first_offset, 0)
