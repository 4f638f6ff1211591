"""Plan: a query worked out for the engine: what it reads, which aggregates it needs, what it answers from them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

from weft.core.errors import Invalid
from weft.stream.aggregate.catalogue import tally_name
from weft.stream.column import Field, Kind
from weft.stream.expression.bind import bind, bind_condition
from weft.stream.expression.names import EventNames, ResultNames
from weft.stream.expression.parser import parse
from weft.stream.expression.split import split
from weft.stream.expression.tree import Name
from weft.stream.expression.typed import Aggregate, Expression, Operation, Read, Typed, fields_of
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
    family: str
    """The name of what works it out, in `weft.stream.aggregate`."""
    tally: str
    """That with what it takes: aggregates that share it have the same."""

    @property
    def kind(self) -> Kind | None:
        """The kind of the values it takes, None where it takes none."""
        return None if self.argument is None else self.argument.kind


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
    """A key is a text; a number or a truth is the text that writes it, so 17, 17.0 and "17" are one key."""
    node = parse(name)
    found = EventNames().find(node.path) if isinstance(node, Name) else None
    if found is None or found.kind == "texts":
        raise Invalid(f"'{name[:64]}' cannot be a key; one is a name such as source, user_id or data.room")
    kinds: tuple[Kind, ...] = ("text", "number", "boolean") if found.kind is None else (found.kind,)
    reads = [Read(node, kind, Field(found.name, kind, found.path)) for kind in kinds]
    texts = tuple(read if read.kind == "text" else Operation(node, "text", "to_text", (read,)) for read in reads)
    root = texts[0] if len(texts) == 1 else Operation(node, "text", "coalesce", texts)
    return Expression(name, root, fields_of(root))


@lru_cache(maxsize=_KEPT)
def _split(text: str) -> tuple[dict[str, Need], Expression]:
    parts = split(text)
    needs = {name: _need(name, aggregate) for name, aggregate in parts.aggregates.items()}
    return needs, parts.expression


def _need(name: str, aggregate: Aggregate) -> Need:
    argument = _alone(aggregate.arguments[0]) if aggregate.arguments else None
    where = None if aggregate.where is None else _alone(aggregate.where)
    family = tally_name(aggregate.function, None if argument is None else argument.kind)
    values = "" if argument is None else f" {argument.kind} {argument.text}"
    condition = "" if where is None else f" where {where.text}"
    return Need(name, aggregate, argument, where, family, f"{family}{values}{condition}")


@lru_cache(maxsize=_KEPT)
def _alone(typed: Typed) -> Expression:
    """A part of an expression by itself."""
    return Expression(write(typed.node), typed, fields_of(typed))


def _having(query: Query, values: dict[str, Expression]) -> Expression:
    kinds: dict[str, Kind] = {name: value.kind for name, value in values.items()}
    return bind(str(query.having), ResultNames(kinds), "boolean")
