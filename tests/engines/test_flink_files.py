"""Flink answers the transcripts over files value for value like Weft's own engine."""

import time

import pytest

from tests.conformance.stream import reference
from tests.conformance.stream.transcript import Transcript
from tests.engines.flink import FlinkCluster
from tests.engines.suite import Suite, as_written, check, load_suite, run
from tests.engines.tables import FileTables

SUITE = load_suite()


class Answered:
    """The jobs that answer the whole suite."""

    def __init__(self, suite: Suite, tables: FileTables, cluster: FlinkCluster) -> None:
        self.tables = tables
        for transcript in suite.transcripts:
            tables.write(transcript)
        for part in suite.parts():
            script = part.script(tables)
            assert script.refused == {}
            job = run(cluster, script.statements)
            while (state := cluster.job(job)["state"]) not in {"FINISHED", "FAILED"}:
                time.sleep(0.2)  # Flink has no other way to tell us
            assert state == "FINISHED", cluster.failure(job)


@pytest.fixture(scope="module")
def answered(flink: FlinkCluster, tmp_path_factory: pytest.TempPathFactory) -> Answered:
    return Answered(SUITE, FileTables(tmp_path_factory.mktemp("topics")), flink)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("transcript", SUITE.transcripts, ids=lambda transcript: transcript.name)
def test_flink_answers_as_written(transcript: Transcript, answered: Answered) -> None:
    for query in transcript.queries:
        results = as_written(query, answered.tables.results(f"analytics.{query['name']}"))
        # At the end of a file Flink takes time to be over; windows that are not are no answers.
        check(query, transcript, [result for result in results if reference.is_over(transcript, query, result)])
