"""Plan: a query worked out for the engine: what it reads, which aggregates it needs, what it answers from them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

from weft.core.errors import Invalid
from weft.stream.column import Field, Kind
from weft.stream.expression.bind import bind, bind_condition
from weft.stream.expression.names import EventNames, ResultNames
from weft.stream.expression.parser import parse
from weft.stream.expression.split import split
from weft.stream.expression.tree import Name
from weft.stream.expression.typed import Aggregate, Expression, Typed, fields_of
from weft.stream.expression.write import write
from weft.stream.query import Query

_KEPT: Final = 4_096
"""How many expressions are kept worked out; those with the same text are the same object and evaluated once for a batch."""

PassKey = tuple[object, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Need:
    """An aggregate that a query needs: what it takes from each event, and from which events."""

    name: str
    aggregate: Aggregate
    argument: Expression | None
    where: Expression | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A query in one version, ready to run."""

    query: Query
    version: int
    where: Expression | None
    keys: tuple[Expression, ...]
    needs: tuple[Need, ...]
    values: dict[str, Expression]
    """What is answered under each name, over the names of the needs."""
    having: Expression | None
    fields: frozenset[Field]
    """Everything that is read of an event."""

    @property
    def pass_key(self) -> PassKey:
        """Queries with the same share a pass. Sessions are made of the events that count, so they must agree on those too."""
        query = self.query
        where = self.where_text if query.window.kind == "session" else None
        window = (query.window.kind, query.window.size_us, query.window.slide_us)
        return (query.topic, query.key, window, query.lateness_us, query.emit, query.every_us, where)

    @property
    def where_text(self) -> str | None:
        """The condition, the same text where it says the same."""
        return None if self.where is None else write(self.where.root.node)


def plan(query: Query, version: int) -> Plan:
    """Work out a query. Raises Invalid that names the field which is wrong."""
    where = None if query.where is None else _in_field("where", lambda: _condition(str(query.where)))
    keys = tuple(_in_field("key", lambda name=name: _key(name)) for name in query.key)
    needs: dict[str, Need] = {}
    values: dict[str, Expression] = {}
    for name, text in query.select.items():
        found, values[name] = _in_field(f"select.{name}", lambda text=text: _split(text))
        needs |= found
    having = None if query.having is None else _in_field("having", lambda: _having(query, values))
    read = [where, *keys, *(part for need in needs.values() for part in (need.argument, need.where))]
    return Plan(
        query=query,
        version=version,
        where=where,
        keys=keys,
        needs=tuple(needs.values()),
        values=values,
        having=having,
        fields=frozenset[Field]().union(*(expression.fields for expression in read if expression is not None)),
    )


def _in_field(field: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except Invalid as wrong:
        raise Invalid(wrong.message, **{**wrong.details, "field": field}) from wrong


_condition: Final = lru_cache(maxsize=_KEPT)(bind_condition)


@lru_cache(maxsize=_KEPT)
def _key(name: str) -> Expression:
    """A key is a text; a number or a truth is the text that writes it."""
    if not isinstance(parse(name), Name):
        raise Invalid(f"'{name[:64]}' is no name; a key is one, such as source or data.room")
    return bind(f"text({name})", EventNames(), "text")


@lru_cache(maxsize=_KEPT)
def _split(text: str) -> tuple[dict[str, Need], Expression]:
    parts = split(text)
    needs = {
        name: Need(
            name,
            aggregate,
            _alone(aggregate.arguments[0]) if aggregate.arguments else None,
            None if aggregate.where is None else _alone(aggregate.where),
        )
        for name, aggregate in parts.aggregates.items()
    }
    return needs, parts.expression


@lru_cache(maxsize=_KEPT)
def _alone(typed: Typed) -> Expression:
    """A part of an expression by itself."""
    return Expression(write(typed.node), typed, fields_of(typed))


def _having(query: Query, values: dict[str, Expression]) -> Expression:
    kinds: dict[str, Kind] = {name: value.kind for name, value in values.items()}
    return bind(str(query.having), ResultNames(kinds), "boolean")
