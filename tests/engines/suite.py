"""The transcripts as jobs of Flink: each with a topic and names of queries of its own, results sorted back to it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.conformance.stream import reference
from tests.conformance.stream.transcript import VERSION, Transcript, all_transcripts, result_id
from tests.engines.flink import FlinkCluster
from weft.cli.sql_gateway import SqlGateway
from weft.stream.engine.plan import plan
from weft.stream.flink.statements import Script, Tables, script
from weft.stream.query import Query

_AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Suite:
    """Transcripts whose topics and queries are called differently from each other."""

    transcripts: Sequence[Transcript]

    def parts(self) -> Iterator["Suite"]:
        """A few transcripts each, so that a job is small enough for a busy machine."""
        for first in range(0, len(self.transcripts), _AT_ONCE):
            yield Suite(self.transcripts[first : first + _AT_ONCE])

    def script(self, tables: Tables, *others: Query) -> Script:
        """The statements that answer all of them, and other queries over topics that are in order."""
        queries = [query for transcript in self.transcripts for query in transcript.checked_queries()]
        bounds = {transcript.topic: transcript.bound_us for transcript in self.transcripts}
        plans = [plan(query, VERSION) for query in (*queries, *others)]
        return script(plans, tables, bound_us=lambda topic: bounds.get(topic, 0), activated_us=0, checkpoint_s=1)


def load_suite() -> Suite:
    """All transcripts that Flink answers."""
    return Suite([_alone(transcript) for transcript in all_transcripts() if transcript.not_on_flink is None])


def _alone(transcript: Transcript) -> Transcript:
    def called(query: str) -> str:
        return f"{transcript.name}.{query}"

    queries = tuple(
        {**query, "name": called(query["name"]), "from": f"t.{transcript.name}", "start": "earliest"}
        for query in transcript.queries
    )
    results = {
        called(query): [{**result, "id": result_id(called(query), result)} for result in found]
        for query, found in transcript.expected.results.items()
    }
    return replace(transcript, queries=queries, expected=replace(transcript.expected, results=results))


def run(cluster: FlinkCluster, statements: Sequence[str]) -> str:
    """Run statements of which the last begins a job; returns its id."""
    with SqlGateway(cluster.gateway_url, timeout_s=600) as gateway:
        (row,) = [gateway.run(statement) for statement in statements][-1]
    return str(row["job id"])


def check(query: Mapping[str, Any], transcript: Transcript, results: Sequence[Mapping[str, Any]]) -> None:
    """The results are those of the transcript; sums of floats, where it says so, to twelve digits."""
    expected = transcript.expected.results[query["name"]]
    if not transcript.rounded:
        assert results == expected, transcript.description
        return
    assert [_without_values(result) for result in results] == [_without_values(result) for result in expected]
    for result, wanted in zip(results, expected, strict=True):
        for name, value in wanted["values"].items():
            close = value if value is None else pytest.approx(value, rel=1e-12)
            assert result["values"][name] == close, f"{name}: {transcript.description}"


def _without_values(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "values"}


def as_written(query: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The events of a query's results as a transcript has them; members of an object may come in any order."""
    results = [
        {
            "key": {name: event["data"]["key"][name] for name in reference.key_names(query)},
            "start": event["data"]["window"]["start"],
            "end": event["data"]["window"]["end"],
            "revision": event["data"]["revision"],
            "final": event["data"]["final"],
            "events": event["data"]["events"],
            "values": {name: event["data"]["values"][name] for name in query["select"]},
            "id": event["id"],
        }
        for event in events
    ]
    return sorted(results, key=reference.order)
