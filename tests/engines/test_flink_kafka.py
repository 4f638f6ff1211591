"""Flink answers the transcripts over Kafka value for value like Weft's own engine, into topics that Weft reads."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest

from tests.conformance.stream.reference import key_names
from tests.conformance.stream.transcript import VERSION, Transcript
from tests.engines.flink import FlinkCluster
from tests.engines.suite import Suite, as_written, check, load_suite, run
from tests.engines.topics import KafkaTopics
from tests.services.kafka_server import KafkaServer
from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.core.event import EventRow
from weft.core.position import TopicPartition
from weft.log.kafka.log import KafkaLog
from weft.log.kafka.settings import KafkaSettings
from weft.log.settings import LogSettings
from weft.stream.engine.engine import Engine
from weft.stream.engine.taken import Result
from weft.stream.flink.kafka import KafkaTables
from weft.stream.query import Query, read_query
from weft.testing.clock import ManualClock

SUITE = load_suite()
FOREIGN = read_query(
    {
        "name": "foreign",
        "from": "foreign",
        "key": ["source"],
        "window": "10s",
        "start": "earliest",
        "select": {"n": "count", "total": "sum(value)", "newest": "max(time)", "received": "max(received_at)"},
    }
)
NOON_MS = 1_772_366_400_000
WRITTEN = (
    (b'{"type":"r","source":"a","time":"2026-03-01T12:00:01.5Z","data":{"value":1}}', 1_500),
    (b'{"type":"r","source":"a","time":"2026-03-01T13:00:02.000001+01:00","data":{"value":2}}', 2_001),
    (b'{"type":"r","source":"a","timestamp":"2026-03-01T05:30:09.999999-06:30","data":{"value":4}}', 10_000),
    (b'{"type":"r","source":"b","data":{"value":8}}', 9_999),
    (b'{"type":"r","source":"b","time":"yesterday","data":{"value":16}}', 10_123),
    (b"no JSON at all", 10_200),
    (b'{"source":"nobody says what"}', 10_300),
    (b'{"type":"r","source":"late","time":"2026-03-01T12:00:03Z","data":{"value":32}}', 10_400),
    (b'{"type":"r","source":"ahead","time":"2026-03-01T12:05:10.500001Z","data":{"value":64}}', 10_500),
    (b'{"type":"r","source":"a","time":"2026-03-01T12:00:19.999998Z","data":{"value":128}}', 20_000),
    (b'{"type":"r","source":"a","time":"2026-03-01T12:00:11Z","data":{"value":256}}', 20_500),
    (b'{"type":"r","source":"clock","time":"2026-03-01T12:00:30Z"}', 30_000),
)
"""What others may write, and milliseconds after noon at which Kafka took it."""


class Answered:
    """The jobs that answered the whole suite; each would go on for ever."""

    def __init__(self, suite: Suite, broker: KafkaServer, cluster: FlinkCluster) -> None:
        self.prefix = f"t{secrets.token_hex(4)}."
        self._broker, self._cluster = broker, cluster
        self._topics = KafkaTopics(broker.bootstrap, self.prefix)
        self._tables = KafkaTables(brokers=broker.bootstrap, prefix=self.prefix, idle_s=3600, group=self.prefix)
        for part in suite.parts():
            for transcript in part.transcripts:
                self._topics.write(transcript)
            self._answer(part)
        self._topics.create(FOREIGN.topic, 1)
        for value, written_ms in WRITTEN:
            self._topics.produce(FOREIGN.topic, 0, value, NOON_MS + written_ms)
        self._answer(Suite(()), FOREIGN)

    def _answer(self, part: Suite, *others: Query) -> None:
        script = part.script(self._tables, *others)
        assert script.refused == {}
        for query in script.answered:
            self._topics.create(f"analytics.{query}", 1)
        job = run(self._cluster, script.statements)
        try:
            self._wait(job, [*(transcript.topic for transcript in part.transcripts), *(query.topic for query in others)])
        finally:
            self._cluster.cancel(job)

    def _wait(self, job: str, topics: Sequence[str]) -> None:
        """Until everything that stands in some topics was read, and what followed from it was written.

        What was read is committed with a checkpoint. Watermarks are told a moment after the events, so it takes two more.
        """
        while not self._topics.is_read(self.prefix, topics):
            self._pause(job)
        enough = self._cluster.checkpoints(job) + 2
        while self._cluster.checkpoints(job) < enough:
            self._pause(job)

    def _pause(self, job: str) -> None:
        assert self._cluster.job(job)["state"] not in {"FAILED", "FAILING"}, self._cluster.failure(job)
        time.sleep(0.3)  # Flink has no other way to tell us

    async def events(self, topic: str) -> list[tuple[str, int, EventRow]]:
        """What Weft reads in a topic: ids, times and rows, each id once (Flink may write a result again after a failure)."""
        found = {
            event[0]: event
            for batch in await self.batches(topic)
            for event in zip(batch.ids, batch.times_us.tolist(), batch.event_rows, strict=True)
        }
        return list(found.values())

    async def batches(self, topic: str) -> Sequence[LogBatch]:
        """What stands in the first partition of a topic."""
        log = KafkaLog(
            self._broker.url,
            settings=LogSettings(kafka=KafkaSettings(prefix=self.prefix)),
            clock=ManualClock(),
            append=False,
        )
        async with log:
            return await log.read(TopicPartition(topic, 0), 0)


@pytest.fixture(scope="module")
def answered(flink: FlinkCluster, kafka_server: KafkaServer) -> Answered:
    return Answered(SUITE, kafka_server, flink)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("transcript", SUITE.transcripts, ids=lambda transcript: transcript.name)
async def test_flink_answers_as_written_into_topics_that_weft_reads(transcript: Transcript, answered: Answered) -> None:
    for query in transcript.queries:
        events = await answered.events(f"analytics.{query['name']}")
        check(query, transcript, as_written(query, [_read(query, *event) for event in events]))


def _read(query: Mapping[str, Any], event_id: str, time_us: int, row: EventRow) -> dict[str, Any]:
    data = json.loads(bytes(row.data))
    assert time_us == data["window"]["end_us"]
    assert (row.type, row.source) == ("weft.result", f"weft/queries/{data['query']}")
    assert row.subject == ("/".join(data["key"][name] or "" for name in key_names(query)) or None)
    return {"id": event_id, "data": data}


@pytest.mark.timeout(3600)
async def test_what_others_wrote_is_the_same_to_flink_and_to_weft(answered: Answered) -> None:
    engine = Engine(default_bound_us=0)
    engine.add(FOREIGN, VERSION)
    expected: list[Result] = []
    for batch in await answered.batches(FOREIGN.topic):
        with suppress(Corrupt):
            expected += engine.take(batch).results

    found = {event_id: json.loads(bytes(row.data)) for event_id, _, row in await answered.events(FOREIGN.results_topic)}

    assert {result.id: (result.key, result.events, result.values) for result in expected} == {
        event_id: (data["key"], data["events"], data["values"]) for event_id, data in found.items()
    }
    assert len(expected) >= 4
