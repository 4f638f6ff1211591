"""Log order: the watermark before each event, as its partition's log gives it, in SQL.

Flink keeps event time to the millisecond, Weft to the microsecond. So Flink is shown a microsecond as a millisecond: `moment`
is the time stretched a thousandfold, its windows are too, and nothing is rounded. What is late is decided here, from the log
alone; Flink's own watermark stays so far behind that it never drops an event by itself.
"""

from dataclasses import dataclass
from typing import Final

from weft.core.watermark import BEGINNING, MAX_AHEAD_US
from weft.stream.flink.text import integer, name

EPOCH: Final = "TIMESTAMP '1970-01-01 00:00:00.000'"
ENTRY: Final = "`row`, `partition`, `offset`, time_us, received_us, moment"
"""What is known of an offset."""
COUNTED: Final = f"CASE WHEN time_us <= received_us + {integer(MAX_AHEAD_US)} THEN time_us END"
"""The time of an event where it moves the watermark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to read a topic. Windows over it close `slack_us` behind its watermark."""

    name: str
    topic: str
    bound_us: int
    slack_us: int
    from_us: int | None
    """Events that were received before are not read; None: everything is."""


def moment(sql: str) -> str:
    """A time in microseconds as Flink is shown it."""
    return f"{EPOCH} + {sql} * INTERVAL '0.001' SECOND"


def declared_time(reading: Reading, *, time_us: str, counted_us: str) -> str:
    """The columns every table over a topic has beside what was written: when events happened, and how far time has come.

    `counted_us` is the time of an event where it moves the watermark.
    """
    behind_us = integer(reading.bound_us + reading.slack_us)
    lines = (
        f"time_us AS {time_us}",
        f"moment AS {moment(f'({time_us})')}",
        "passed AS PROCTIME()",
        f"WATERMARK FOR moment AS {moment(f'({counted_us} - {behind_us})')}",
    )
    return ",\n".join(f"  {line}" for line in lines) + "\n"


def events_view(reading: Reading, table: str) -> list[str]:
    """Views up to `<name>`: every event of a topic with `watermark_us`, the watermark before it in its partition.

    The table has `ENTRY` and `passed`. Rows of a partition pass in the order of its log.
    """
    order = "OVER (PARTITION BY `partition` ORDER BY passed"
    newest = f"MAX({COUNTED}) {order} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
    before = f"COALESCE(before_us, {integer(BEGINNING)}) - {integer(reading.bound_us)}"
    first, second = f"{reading.name} newest", f"{reading.name} before"
    return [
        view(first, f"SELECT {ENTRY}, passed, {newest} AS newest_us", table),
        view(second, f"SELECT {ENTRY}, LAG(newest_us) {order}) AS before_us", name(first)),
        view(reading.name, f"SELECT {ENTRY}, {before} AS watermark_us", f"{name(second)}\nWHERE `row` IS JSON OBJECT"),
    ]


def view(label: str, select: str, source: str) -> str:
    """A view that is called so."""
    return f"CREATE TEMPORARY VIEW {name(label)} AS\n{select}\nFROM {source}"
