"""Which tally works out which aggregate."""

from collections.abc import Callable
from typing import Final

from weft.core.errors import Unsupported
from weft.stream.aggregate.count import Absent, Count, Frequency
from weft.stream.aggregate.extreme import Extreme
from weft.stream.aggregate.sum import Mean, Sum
from weft.stream.aggregate.tally import Tally
from weft.stream.column import Kind

_TALLIES: Final[dict[str, Callable[[], Tally]]] = {
    "absent": Absent,
    "avg": Mean,
    "count": Count,
    "max": lambda: Extreme("max"),
    "min": lambda: Extreme("min"),
    "rate": Frequency,
    "sum": Sum,
}


def new_tally(function: str, kind: Kind | None) -> Tally:
    """An empty tally for an aggregate function that takes values of this kind, or none."""
    found = _TALLIES.get(function)
    if found is None:
        raise Unsupported(f"this engine has no aggregate '{function}'")
    return found()
