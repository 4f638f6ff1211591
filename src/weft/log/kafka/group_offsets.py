"""Group offsets: what groups committed, asked for and kept in their name without joining them."""

from typing import Final

from weft.log.kafka.admin import Offsets
from weft.log.kafka.client import NO_SUCH_PLACE, Client, Consumer, KafkaError, KafkaException
from weft.log.kafka.client import TopicPartition as KafkaPartition

_OPEN: Final = 32


class GroupOffsets:
    """Asks each group's coordinator through a consumer of the group that is never given a partition.

    The admin client could ask too, but in librdkafka 2.16 it ends the process now and then while a coordinator is only coming
    up (confluentinc/confluent-kafka-python#1982). Blocks: for one thread, not for the loop. Raises KafkaException.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._timeout_s = client.address.settings.request_timeout_s
        self._open: dict[str, Consumer] = {}  # the one used last at the end

    def get(self, group: str, places: Offsets) -> list[KafkaPartition]:
        """Those of the places where the group committed something, each with its offset."""
        if not places:
            return []
        found: list[KafkaPartition] = []
        for place in self._consumer(group).committed(list(places), timeout=self._timeout_s):
            error = place.error
            if error is None and place.offset >= 0:
                found.append(place)
            elif error is not None and error.code() not in NO_SUCH_PLACE:
                raise KafkaException(error)
        return found

    def commit(self, group: str, offsets: Offsets) -> Offsets:
        """Commit for a group without members; each place says what became of it."""
        return self._consumer(group).commit(offsets=list(offsets), asynchronous=False) or ()

    def close(self) -> None:
        """Let go of the brokers."""
        while self._open:
            self._open.popitem()[1].close()

    def _consumer(self, group: str) -> Consumer:
        consumer = self._open.pop(group, None) or self._client.consumer(_ignore, group=group)
        self._open[group] = consumer
        if len(self._open) > _OPEN:
            self._open.pop(next(iter(self._open))).close()
        return consumer


def _ignore(_: KafkaError) -> None:
    """What goes wrong shows in the answers."""
