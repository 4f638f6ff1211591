"""Statements: all queries as one script of Flink SQL that ends in a statement set, and those that Flink cannot answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from weft.core.errors import Unsupported
from weft.core.times import MINUTE_US
from weft.stream.engine.plan import Plan
from weft.stream.flink.log_order import Reading, events_view
from weft.stream.flink.question import Statements, question
from weft.stream.flink.text import name

_LOOK_BACK_US = 10 * MINUTE_US
"""More than a clock may be ahead: whoever is late for a window that begins now is made so by something received since."""


class Tables(Protocol):
    """Topics as tables of Flink."""

    def source(self, reading: Reading) -> list[str]:
        """What makes the table over a topic."""
        ...

    def table(self, reading: Reading) -> str:
        """The name of that table."""
        ...

    def sink(self, topic: str) -> str:
        """What makes a table that results are written to."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Statements to be run one by one, the queries they answer, and why Flink cannot answer the others as Weft does."""

    statements: list[str]
    answered: list[str]
    refused: dict[str, str]

    def written(self) -> str:
        """As a file for Flink's own SQL client."""
        refused = "".join(f"-- {query} is not in here: {reason}\n" for query, reason in self.refused.items())
        return refused + "".join(f"{statement};\n\n" for statement in self.statements)


def script(
    plans: Sequence[Plan], tables: Tables, *, bound_us: Callable[[str], int], activated_us: int, checkpoint_s: int = 10
) -> Script:
    """One job for all queries. Those that begin with `latest` answer windows that begin after `activated_us`."""
    readings: dict[Reading, list[str]] = {}
    answered: list[tuple[Plan, Statements]] = []
    refused: dict[str, str] = {}
    for plan in plans:
        latest_us = activated_us if plan.query.start == "latest" else None
        reading = _reading(plan, bound_us(plan.query.topic), latest_us)
        try:
            answered.append((plan, question(plan, events=name(reading.name), activated_us=latest_us)))
        except Unsupported as reason:
            refused[plan.query.name] = reason.message
            continue
        if reading not in readings:
            readings[reading] = [*tables.source(reading), *events_view(reading, tables.table(reading))]
    statements = [
        "SET 'pipeline.name' = 'weft'",
        "SET 'table.local-time-zone' = 'UTC'",
        f"SET 'execution.checkpointing.interval' = '{checkpoint_s} s'",
        # What queries have in common is planned once, not once for each.
        "SET 'table.optimizer.reuse-optimize-block-with-digest-enabled' = 'true'",
    ]
    statements += [statement for declared in readings.values() for statement in declared]
    statements += [tables.sink(plan.query.results_topic) for plan, _ in answered]
    statements += [statement for _, of_query in answered for statement in of_query.declared]
    if answered:
        inserts = ";\n\n".join(of_query.insert for _, of_query in answered)
        statements.append(f"EXECUTE STATEMENT SET\nBEGIN\n{inserts};\nEND")
    return Script(statements=statements, answered=[plan.query.name for plan, _ in answered], refused=refused)


def _reading(plan: Plan, bound_us: int, latest_us: int | None) -> Reading:
    """Queries with the same topic and lateness that begin at the same moment read together."""
    query = plan.query
    slack_us = query.lateness_us + (query.window.kind == "session")
    from_us = None if latest_us is None else latest_us - _LOOK_BACK_US - query.window.size_us - query.lateness_us
    label = f"{query.topic} +{slack_us}" + ("" if from_us is None else f" since {from_us}")
    return Reading(name=label, topic=query.topic, bound_us=bound_us, slack_us=slack_us, from_us=from_us)
