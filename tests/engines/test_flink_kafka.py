"""Flink answers the transcripts over Kafka value for value like Weft's own engine, into topics that Weft reads."""

import json
import secrets
import time
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from tests.conformance.stream.transcript import Transcript
from tests.engines.flink import FlinkCluster
from tests.engines.suite import Suite, as_written, check, load_suite, run
from tests.engines.topics import KafkaTopics
from tests.services.kafka_server import KafkaServer
from weft.core.event import EventRow
from weft.core.position import TopicPartition
from weft.log.kafka.log import KafkaLog
from weft.log.kafka.settings import KafkaSettings
from weft.log.settings import LogSettings
from weft.stream.flink.kafka import KafkaTables
from weft.testing.clock import ManualClock

SUITE = load_suite()


class Answered:
    """The job that answers the whole suite, and goes on for ever."""

    def __init__(self, suite: Suite, broker: KafkaServer, cluster: FlinkCluster) -> None:
        self.prefix = f"t{secrets.token_hex(4)}."
        self._broker, self._cluster = broker, cluster
        self.topics = KafkaTopics(broker.bootstrap, self.prefix)
        for transcript in suite.transcripts:
            self.topics.write(transcript)
        tables = KafkaTables(brokers=broker.bootstrap, prefix=self.prefix, idle_s=3600, group=self.prefix)
        script = suite.script(tables)
        assert script.refused == {}
        for transcript in suite.transcripts:
            for query in transcript.queries:
                self.topics.create(f"analytics.{query['name']}", 1)
        self.job = run(cluster, script.statements)
        self.wait(sorted({transcript.topic for transcript in suite.transcripts}))

    def wait(self, topics: Sequence[str]) -> None:
        """Until everything that stands in some topics was read, and what followed from it was written.

        What was read is committed with a checkpoint. Watermarks are told a moment after the events, so it takes two more.
        """
        while not self.topics.is_read(self.prefix, topics):
            self._pause()
        enough = self._cluster.checkpoints(self.job) + 2
        while self._cluster.checkpoints(self.job) < enough:
            self._pause()

    def _pause(self) -> None:
        assert self._cluster.job(self.job)["state"] not in {"FAILED", "FAILING", "RESTARTING"}, self._cluster.failure(self.job)
        time.sleep(0.3)  # Flink has no other way to tell us

    async def events(self, topic: str) -> list[tuple[str, int, EventRow]]:
        """What Weft reads in a topic: ids, times and rows."""
        log = KafkaLog(
            self._broker.url,
            settings=LogSettings(kafka=KafkaSettings(prefix=self.prefix)),
            clock=ManualClock(),
            append=False,
        )
        async with log:
            batches = await log.read(TopicPartition(topic, 0), 0)
        return [found for batch in batches for found in zip(batch.ids, batch.times_us.tolist(), batch.event_rows, strict=True)]


@pytest.fixture(scope="module")
def answered(flink: FlinkCluster, kafka_server: KafkaServer) -> Generator[Answered]:
    found = Answered(SUITE, kafka_server, flink)
    yield found
    flink.cancel(found.job)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("transcript", SUITE.transcripts, ids=lambda transcript: transcript.name)
async def test_flink_answers_as_written_into_topics_that_weft_reads(transcript: Transcript, answered: Answered) -> None:
    for query in transcript.queries:
        events = await answered.events(f"analytics.{query['name']}")
        check(query, transcript, as_written(query, [_read(*event) for event in events]))


def _read(event_id: str, time_us: int, row: EventRow) -> dict[str, Any]:
    data = json.loads(bytes(row.data))
    assert time_us == data["window"]["end_us"]
    assert (row.type, row.source) == ("weft.result", f"weft/queries/{data['query']}")
    assert row.subject == ("/".join(value or "" for value in data["key"].values()) or None)
    return {"id": event_id, "data": data}
