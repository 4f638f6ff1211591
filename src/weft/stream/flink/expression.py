"""Expressions over single values as Flink SQL: null is unknown in both, so three-valued logic needs no help.

What a float cannot hold becomes infinite in Flink and is made unknown where the calculation ends, and below a division.
"""

from collections.abc import Callable, Mapping
from typing import Final

from weft.core.errors import Unsupported
from weft.stream.column import Field, Kind
from weft.stream.expression.scalar import NUMBER_PATTERN
from weft.stream.expression.typed import Aggregate, Constant, Operation, Read, Typed, Value
from weft.stream.flink.text import double, finite, integer, text

Reads = Callable[[Field], str]

MAX_LENGTH: Final = 100_000
"""Characters of SQL. Divisors have to be said several times; no sensible expression comes near."""

TYPES: Final[Mapping[Kind, str]] = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "text": "STRING",
    "boolean": "BOOLEAN",
    "texts": "STRING",
}
_CALCULATIONS: Final = frozenset({"+", "-", "*", "/", "%", "negative"})
_ORDERING: Final = frozenset({"<", "<=", ">", ">="})
_ESCAPE: Final = "\\"
_ONE_FOR_ONE: Final = {"\u0130": "i", "\u03a3": "\u03c3"}
"""Capitals that Java makes two letters of, or another one at the end of a word."""
_EXACT: Final = double(2.0**53)


def expression_sql(typed: Typed, reads: Reads) -> str:
    """The SQL of an expression; `reads` says what stands for a field."""
    sql = _sql(typed, reads)
    return finite(sql) if _is_calculated(typed) else sql


def _is_calculated(typed: Typed) -> bool:
    return isinstance(typed, Operation) and typed.name in _CALCULATIONS


def _sql(typed: Typed, reads: Reads) -> str:
    match typed:
        case Constant():
            return _constant(typed.kind, typed.value)
        case Read():
            return reads(typed.field)
        case Operation():
            if typed.name in _CALCULATIONS:
                return _bounded(_calculation(typed, reads))
            return _bounded(_operation(typed, reads))
        case Aggregate():
            raise TypeError(f"{typed.function} is no value of single events")


def _operation(typed: Operation, reads: Reads) -> str:
    arguments = [expression_sql(argument, reads) for argument in typed.arguments]
    kind = typed.arguments[0].kind
    if typed.name == "to_text" and kind in _AS_TEXT:
        return _AS_TEXT[kind](*arguments)
    if typed.name in _ORDERING and kind == "text":
        arguments = [f"HEX({argument})" for argument in arguments]  # as they stand, Flink may compare by UTF-16
    return _OPERATIONS[typed.name](*arguments)


def _bounded(sql: str) -> str:
    if len(sql) > MAX_LENGTH:
        raise Unsupported(f"in SQL one of its expressions has more than {MAX_LENGTH} characters")
    return sql


def _constant(kind: Kind, value: Value) -> str:
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return integer(value)
        case float():
            return double(value)
        case str():
            return text(value)
        case _:
            return f"CAST(NULL AS {TYPES[kind]})"


def _calculation(typed: Operation, reads: Reads) -> str:
    first, *others = typed.arguments
    if typed.name == "negative":
        return f"(-{_sql(first, reads)})"
    (second,) = others
    if typed.name == "%":
        raise Unsupported("Flink SQL has no remainder of numbers that are not whole")
    if typed.name != "/":
        return f"({_sql(first, reads)} {typed.name} {_sql(second, reads)})"
    # By nothing divided is unknown even where it is divided by again, so that an infinite divisor must not get there.
    # A nothing that stands there Flink would divide by when it reads the statement.
    divisor = "CAST(NULL AS DOUBLE)" if isinstance(second, Constant) and not second.value else expression_sql(second, reads)
    return f"({_sql(first, reads)} / {divisor})"


def _infix(sign: str) -> Callable[..., str]:
    return lambda *arguments: "(" + f" {sign} ".join(arguments) + ")"


def _call(function: str) -> Callable[..., str]:
    return lambda *arguments: f"{function}({', '.join(arguments)})"


def _within(item: str, *items: str) -> str:
    return f"({item} IN ({', '.join(items)}))"


def _tagged(tags: str, tag: str) -> str:
    """Tags are the JSON text of a list of texts: one stands after the bracket or after a comma between two of them."""
    quoted = f"""'"' || REPLACE(REPLACE({tag}, {text(_ESCAPE)}, {text(_ESCAPE * 2)}), '"', {text(_ESCAPE + '"')}) || '"'"""
    return f"(INSTR({tags}, '[' || {quoted}) = 1 OR INSTR({tags}, ',' || {quoted}) > 0)"


def _lower(value: str) -> str:
    """In small letters, one for one."""
    for capital, small in _ONE_FOR_ONE.items():
        value = f"REPLACE({value}, {text(capital)}, {text(small)})"
    return f"LOWER({value})"


def _to_number(value: str) -> str:
    bare = f"TRIM({value})"
    number = f"TRY_CAST({bare} AS DOUBLE)"
    return f"CASE WHEN REGEXP({bare}, '^(?:{NUMBER_PATTERN})$') THEN {finite(number)} END"


def _number_as_text(value: str) -> str:
    is_whole = f"{value} = FLOOR({value}) AND ABS({value}) < {_EXACT}"
    return f"CASE WHEN {is_whole} THEN CAST(CAST({value} AS BIGINT) AS STRING) ELSE CAST({value} AS STRING) END"


def _truth_as_text(value: str) -> str:
    """In small letters, which Flink's own are not."""
    return f"CASE WHEN {value} THEN 'true' WHEN NOT {value} THEN 'false' END"


_AS_TEXT: Final[Mapping[Kind, Callable[[str], str]]] = {"number": _number_as_text, "boolean": _truth_as_text}
_OPERATIONS: Final[Mapping[str, Callable[..., str]]] = {
    "and": _infix("AND"),
    "or": _infix("OR"),
    "not": "(NOT {})".format,
    "==": _infix("="),
    "!=": _infix("<>"),
    "<": _infix("<"),
    "<=": _infix("<="),
    ">": _infix(">"),
    ">=": _infix(">="),
    "abs": _call("ABS"),
    "in": _within,
    "tagged": _tagged,
    "startswith": _call("STARTSWITH"),
    "endswith": _call("ENDSWITH"),
    "contains": "(INSTR({}, {}) > 0)".format,
    "lower": _lower,
    "coalesce": _call("COALESCE"),
    "is_null": "({} IS NULL)".format,
    "to_number": _to_number,
    "to_text": "CAST({} AS STRING)".format,
    "as_number": "CAST({} AS DOUBLE)".format,
}
