"""The pinned semantics of windows, lateness, aggregates and expressions hold on every engine, value for value."""

import random

import pytest

from tests.conformance.stream.engines import BruteForce, Embedded, Engine
from tests.conformance.stream.transcript import Transcript, all_transcripts

TRANSCRIPTS = {transcript.name: transcript for transcript in all_transcripts()}


@pytest.fixture(params=TRANSCRIPTS)
def transcript(request: pytest.FixtureRequest) -> Transcript:
    return TRANSCRIPTS[request.param]


def check(engine: Engine, transcript: Transcript) -> None:
    answers = engine.answer(transcript)
    for query, expected in transcript.expected.results.items():
        assert answers.results[query] == expected, f"{transcript.name}, {query}: {transcript.description}"
    assert answers.late == transcript.expected.late, f"{transcript.name}: {transcript.description}"


def test_the_reference_answers_as_written(transcript: Transcript) -> None:
    check(BruteForce(), transcript)


def test_the_embedded_engine_answers_as_written(transcript: Transcript) -> None:
    check(Embedded(), transcript)


@pytest.mark.parametrize("seed", range(5))
def test_cutting_batches_and_mixing_partitions_change_nothing(transcript: Transcript, seed: int) -> None:
    check(Embedded(random.Random(seed)), transcript)


@pytest.mark.parametrize("seed", range(5))
def test_restarts_change_nothing(transcript: Transcript, seed: int) -> None:
    check(Embedded(random.Random(seed), restarts=True), transcript)


def test_every_pinned_semantics_has_a_transcript() -> None:
    """Joins (23) are not offered, which README.md of the transcripts says."""
    pinned = {pin for transcript in TRANSCRIPTS.values() for pin in transcript.pins}
    assert pinned == set(range(1, 26)) - {23}
