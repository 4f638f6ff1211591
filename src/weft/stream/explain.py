"""Explain: a query in words, so that one sees before it runs what is counted, when it answers, and where the answers go."""

from typing import Final

from pydantic import BaseModel, Field

from weft.core.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from weft.stream.engine.plan import plan
from weft.stream.expression.parser import parse
from weft.stream.expression.sentence import sentence
from weft.stream.query import Query

_UNITS: Final = ((DAY_US, "day"), (HOUR_US, "hour"), (MINUTE_US, "minute"), (SECOND_US, "second"))


class Explanation(BaseModel):
    """A query in words."""

    name: str
    lines: list[str]
    reads: list[str] = Field(description="What is read of each event.")
    results_topic: str
    answered_after_s: float = Field(description="Seconds from the end of a window to its answer, at least.")


def explain(query: Query, *, out_of_order_us: int) -> Explanation:
    """The words. Raises Invalid that names the field which is wrong."""
    worked_out = plan(query, 1)
    reads = sorted({field.name for field in worked_out.fields})
    after_us = out_of_order_us + (query.lateness_us if query.emit == "final" else 0)
    lines = [f"Reads the topic '{query.topic}'.", _counts(query), f"{_windows(query)}{_keys(query)}."]
    lines += [f"{name}: {sentence(parse(text), window=True)}" for name, text in query.select.items()]
    if query.having is not None:
        lines.append(f"Told are only results of which this is so: {sentence(parse(query.having))}")
    lines += [_when(query, after_us), f"Answers go to the topic '{query.results_topic}'."]
    if query.start == "earliest":
        lines.append("It begins with the oldest event the log still holds.")
    else:
        lines.append("It answers windows that begin after it was added.")
    return Explanation(
        name=query.name,
        lines=lines,
        reads=reads,
        results_topic=query.results_topic,
        answered_after_s=after_us / SECOND_US,
    )


def _counts(query: Query) -> str:
    return "Every event counts." if query.where is None else f"An event counts where this is so: {sentence(parse(query.where))}"


def _windows(query: Query) -> str:
    window = query.window
    if window.kind == "session":
        return f"A window lasts until nothing came for {_span(window.size_us)}"
    if window.kind == "sliding":
        return f"A window is {_span(window.size_us)} long, and one begins every {_span(window.slide_us)}"
    return f"A window is {_span(window.size_us)} long, one after the other"


def _keys(query: Query) -> str:
    if not query.key:
        return "; there is one answer for each window"
    return f"; there is one answer for each window and each {' and '.join(query.key)} that occurs in it"


def _when(query: Query, after_us: int) -> str:
    said = (
        f"A window is answered {_span(after_us)} of event time after its end" if after_us else "A window is answered at its end"
    )
    if query.emit == "revisions":
        said += f", and again where late events change it, until {_span(query.lateness_us)} later" if query.lateness_us else ""
    if query.every_us is not None:
        said += f"; while it is open, every {_span(query.every_us)}"
    return f"{said}. What comes later goes to '{query.topic}.late'."


def _span(span_us: int) -> str:
    """A length of time in its largest whole unit."""
    for unit_us, name in _UNITS:
        if span_us and span_us % unit_us == 0:
            number = span_us // unit_us
            return f"{number} {name}" if number == 1 else f"{number} {name}s"
    return f"{span_us / SECOND_US:g} seconds"
