"""Engines: whatever answers a transcript. All must give the same answers, value for value."""

import random
from collections.abc import Iterable
from typing import Any, Protocol

from tests.conformance.stream import reference
from tests.conformance.stream.transcript import VERSION, Answers, Late, Transcript
from weft.core import times
from weft.stream.engine.engine import Engine as EmbeddedEngine
from weft.stream.engine.taken import Result, Taken


class Engine(Protocol):
    """Answers all queries of a transcript over all of its log."""

    def answer(self, transcript: Transcript) -> Answers:
        """Results and late events, ordered as a transcript has them."""
        ...


class BruteForce:
    """The reference: computes over the whole set."""

    def answer(self, transcript: Transcript) -> Answers:
        return reference.answer(transcript)


class Embedded:
    """Weft's own engine. With `chance` batches are cut and partitions mixed by it, and the engine is often restarted."""

    def __init__(self, chance: random.Random | None = None, *, restarts: bool = False) -> None:
        self._chance = chance
        self._restarts = restarts

    def answer(self, transcript: Transcript) -> Answers:
        engine = self._new(transcript)
        for query in transcript.checked_queries():
            engine.add(query, VERSION, positions=transcript.positions(query.name))
        taken = [engine.partitions(transcript.topic, list(transcript.partitions))]
        for batch in transcript.batches(self._chance):
            taken.append(engine.take(batch))
            list(taken[-1].results)
            if self._restarts and self._chance is not None and self._chance.random() < 0.5:
                snapshot = engine.snapshot()
                engine = self._new(transcript)
                engine.restore(snapshot)
        return collect(transcript, taken)

    @staticmethod
    def _new(transcript: Transcript) -> EmbeddedEngine:
        return EmbeddedEngine(default_bound_us=transcript.bound_us)


def collect(transcript: Transcript, taken: Iterable[Taken]) -> Answers:
    """What came out of all batches, in the order of a transcript. For each key results come by the ends of their windows."""
    results: dict[str, list[dict[str, Any]]] = {query["name"]: [] for query in transcript.queries}
    late: list[Late] = []
    for one in taken:
        assert not one.refused
        for result in one.results:
            results[result.query].append(as_written(result))
        late += [Late(event.partition, event.offset, tuple(sorted(event.queries))) for event in one.late]
    for found in results.values():
        _check_order(found)
    return Answers({name: sorted(found, key=reference.order) for name, found in results.items()}, sorted(late))


def _check_order(results: list[dict[str, Any]]) -> None:
    """Results of one key come in the order of their windows' ends, and their revisions one after the other."""
    last: dict[tuple[object, ...], int] = {}
    revisions: dict[tuple[object, ...], int] = {}
    for result in results:
        key = tuple(result["key"].values())
        window = (*key, result["start"], result["end"])
        assert result["revision"] > revisions.get(window, 0), f"{result} came after a later revision"
        revisions[window] = result["revision"]
        if result["final"]:
            end_us = times.parse(result["end"])
            assert end_us >= last.get(key, end_us), f"{result} came after a window that ends later"
            last[key] = end_us


def as_written(result: Result) -> dict[str, Any]:
    """A result as a transcript has it."""
    return {
        "key": result.key,
        "start": times.to_text(result.start_us),
        "end": times.to_text(result.end_us),
        "revision": result.revision,
        "final": result.final,
        "events": result.events,
        "values": result.values,
        "id": result.id,
    }
