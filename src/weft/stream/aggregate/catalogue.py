"""Which tally works out which aggregate. Aggregates with the same tally over the same values share it."""

from collections.abc import Callable
from typing import Final

from weft.core.errors import Unsupported
from weft.stream.aggregate.count import Count
from weft.stream.aggregate.deviation import Deviation
from weft.stream.aggregate.distinct import Distinct
from weft.stream.aggregate.edge import Delta, Edge
from weft.stream.aggregate.extreme import Extreme
from weft.stream.aggregate.foreign import Foreign
from weft.stream.aggregate.growth import Growth
from weft.stream.aggregate.quantile import Quantiles
from weft.stream.aggregate.sum import Sum
from weft.stream.aggregate.tally import Tally
from weft.stream.column import Kind
from weft.stream.custom import find_custom
from weft.stream.expression.functions import find_quantile

COUNT: Final = "count"
"""The name of the tally that takes no values."""

_TALLIES: Final[dict[str, Callable[[Kind], Tally]]] = {
    "delta": lambda _: Delta(),
    "distinct": lambda _: Distinct(),
    "first": lambda kind: Edge("first", kind),
    "last": lambda kind: Edge("last", kind),
    "max": lambda _: Extreme("max"),
    "min": lambda _: Extreme("min"),
    "quantiles": lambda _: Quantiles(),
    "rate": lambda _: Growth(),
    "stddev": lambda _: Deviation(),
    "sum": lambda _: Sum(),
}


def tally_name(function: str, kind: Kind | None) -> str:
    """The name of the tally that works out an aggregate function over values of this kind, or over none."""
    if kind is None:
        return COUNT
    if function == "avg":
        return "sum"
    if find_quantile(function) is not None:
        return "quantiles"
    if function not in _TALLIES and find_custom(function) is None:
        raise Unsupported(f"this engine has no aggregate '{function}'")
    return function


def new_tally(name: str, kind: Kind | None) -> Tally:
    """An empty tally."""
    if kind is None:
        return Count()
    custom = None if name in _TALLIES else find_custom(name)
    return _TALLIES[name](kind) if custom is None else Foreign(custom)
