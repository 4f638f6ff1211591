"""What the store adds to the verdict: does it flush, is the tail in bounds, is every offset accounted for."""

from typing import Final

from weft.core.verdict import Check, Finding, Level
from weft.store.port import EventStore
from weft.store.query import TopicCount
from weft.store.settings import StoreSettings

FLUSH_TIME: Final = "store.flush_time"
TAIL: Final = "store.tail"
CONSERVATION: Final = "store.conservation"

SLOW_FLUSH_S: Final = 5.0
TAIL_LOOK: Final = 0.5
TAIL_ACT: Final = 0.9


def checks(store: EventStore, *, settings: StoreSettings) -> dict[str, Check]:
    """The checks of one store, by code."""

    async def flush_time() -> Finding:
        details = (await store.state()).details
        refusal, took_s = details.get("refusal"), details.get("flush_s")
        if refusal:
            return Finding(code=FLUSH_TIME, level=Level.ACT, why=str(refusal))
        if took_s is None:
            return Finding(code=FLUSH_TIME, level=Level.FINE, why="nothing had to be flushed yet")
        level = Level.LOOK if took_s > SLOW_FLUSH_S else Level.FINE
        why = f"the last flush of the store took {took_s:.2f} s; {SLOW_FLUSH_S:.0f} s are usual at most"
        return Finding(code=FLUSH_TIME, level=level, why=why, parameters={"flush_s": took_s, "limit_s": SLOW_FLUSH_S})

    async def tail() -> Finding:
        state = await store.state()
        share = state.tail_bytes / settings.tail_max_bytes
        level = Level.ACT if share >= TAIL_ACT else Level.LOOK if share >= TAIL_LOOK else Level.FINE
        why = f"{state.tail_events} events ({state.tail_bytes} bytes) wait in memory to be flushed, {share:.0%} of what may"
        parameters = {"tail_bytes": state.tail_bytes, "tail_max_bytes": settings.tail_max_bytes, "events": state.tail_events}
        return Finding(code=TAIL, level=level, why=why, parameters=parameters)

    async def conservation() -> Finding:
        topics = (await store.state()).topics
        wrong = [topic for topic in topics if unaccounted(topic)]
        if wrong:
            names = ", ".join(f"{topic.topic}/{topic.partition}: {unaccounted(topic)}" for topic in wrong)
            why = f"offsets of the log that the store cannot account for: {names}; run weft verify"
            return Finding(code=CONSERVATION, level=Level.ACT, why=why)
        why = f"every offset of {len(topics)} partitions is accounted for in the store"
        return Finding(code=CONSERVATION, level=Level.FINE, why=why, parameters={"partitions": len(topics)})

    return {FLUSH_TIME: flush_time, TAIL: tail, CONSERVATION: conservation}


def unaccounted(topic: TopicCount) -> int:
    """Offsets below the position that are in none of the counts; always 0."""
    counted = topic.stored_total + topic.repeats_total + topic.expired_total + topic.ticks_total + topic.skipped_total
    return topic.position - counted
