"""An oracle: an expression as SQL text that means exactly the same in DuckDB, which then says what it is worth.

Every integer is written as a BIGINT, every other number as a DOUBLE; arithmetic is on DOUBLE. A number that is not finite
becomes null where something looks at it, as it does in the other evaluations. Texts and names are quoted so that nothing
but a text and a name is ever found in them.
"""

from collections.abc import Callable
from typing import Final

from weft.core.errors import TooLarge
from weft.stream.column import Field, Kind
from weft.stream.expression.scalar import NUMBER_PATTERN
from weft.stream.expression.typed import Aggregate, Constant, Expression, Operation, Read, Typed

MAX_LENGTH: Final = 100_000
"""Characters of SQL. Divisors have to be said several times; no sensible expression comes near."""

_TYPES: Final[dict[Kind, str]] = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "text": "VARCHAR",
    "texts": "VARCHAR[]",
}
_FINITE: Final = "BETWEEN -1.7976931348623157E308 AND 1.7976931348623157E308"
_EXACT: Final = "9007199254740992E0"
_PERHAPS_INFINITE: Final = frozenset({"+", "-", "*", "/", "%", "to_number"})
_PASSING_ON: Final = {"negative": "(-{})", "abs": "abs({})"}
_TEMPLATES: Final = {
    "not": "(NOT {})",
    "==": "({} = {})",
    "!=": "({} <> {})",
    "<": "({} < {})",
    "<=": "({} <= {})",
    ">": "({} > {})",
    ">=": "({} >= {})",
    "startswith": "starts_with({}, {})",
    "endswith": "ends_with({}, {})",
    "contains": "contains({}, {})",
    "tagged": "list_contains({}, {})",
    "lower": "lower({})",
    "is_null": "({} IS NULL)",
    "as_number": "CAST({} AS DOUBLE)",
    "to_number": "TRY_CAST(regexp_extract(trim({}, ' '), '^" + NUMBER_PATTERN + "$') AS DOUBLE)",
}


def render(expression: Expression, column: Callable[[Field], str]) -> str:
    """The SQL text of an expression. `column` gives the SQL of a field, which is null where it is unknown.

    Raises TooLarge where the text would grow over MAX_LENGTH.
    """
    return _Writer(column).finite(expression.root)


def identifier(name: str) -> str:
    """A name in quotes."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in quotes."""
    return "'" + text.replace("'", "''") + "'"


class _Writer:
    def __init__(self, column: Callable[[Field], str]) -> None:
        self._column = column

    def finite(self, typed: Typed) -> str:
        """The text of a part; null stands for a number that is not finite."""
        text = self._text(typed)
        return f"(CASE WHEN {text} {_FINITE} THEN {text} END)" if _perhaps_infinite(typed) else text

    def _text(self, typed: Typed) -> str:
        match typed:
            case Constant():
                return _constant(typed.kind, typed.value)
            case Read():
                return self._column(typed.field)
            case Operation():
                return _bounded(self._operation(typed))
            case Aggregate():
                raise TypeError(f"{typed.function} is no expression over single rows; split it first")

    def _operation(self, typed: Operation) -> str:
        if typed.name in {"+", "-", "*"}:
            left, right = map(self._text, typed.arguments)
            return f"({left} {typed.name} {right})"
        if typed.name in {"/", "%"}:
            return self._division(typed)
        if typed.name in _PASSING_ON:
            return _PASSING_ON[typed.name].format(self._text(typed.arguments[0]))
        values = list(map(self.finite, typed.arguments))
        if typed.name in _TEMPLATES:
            return _TEMPLATES[typed.name].format(*values)
        return _joined(typed, values)

    def _division(self, typed: Operation) -> str:
        """Null where the divisor is 0, or not finite: dividing by that would hide it."""
        left, right = typed.arguments
        dividend, divisor = self._text(left), self._text(right)
        sound = f"{divisor} <> 0E0"
        if _perhaps_infinite(right):
            sound += f" AND {divisor} {_FINITE}"
        return f"(CASE WHEN {sound} THEN {dividend} {typed.name} {divisor} END)"


def _joined(typed: Operation, values: list[str]) -> str:
    if typed.name in {"and", "or"}:
        return "(" + f" {typed.name.upper()} ".join(values) + ")"
    if typed.name == "in":
        return f"({values[0]} IN ({', '.join(values[1:])}))"
    if typed.name == "coalesce":
        return f"COALESCE({', '.join(values)})"
    return _written(values[0], typed.arguments[0].kind)


def _written(value: str, kind: Kind) -> str:
    """A number or a truth as a text."""
    if kind != "number":
        return f"CAST({value} AS VARCHAR)"
    whole = f"{value} = trunc({value}) AND abs({value}) < {_EXACT}"
    return f"(CASE WHEN {whole} THEN CAST(CAST({value} AS BIGINT) AS VARCHAR) ELSE CAST({value} AS VARCHAR) END)"


def _constant(kind: Kind, value: object) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return f"CAST({value} AS BIGINT)"
    if isinstance(value, float):
        number = repr(value).upper()
        return f"CAST({number if 'E' in number else number + 'E0'} AS DOUBLE)"
    return literal(value) if isinstance(value, str) else f"CAST(NULL AS {_TYPES[kind]})"


def _bounded(text: str) -> str:
    if len(text) > MAX_LENGTH:
        message = f"as SQL this expression has more than {MAX_LENGTH} characters; use fewer divisions in divisors"
        raise TooLarge(message, limit=MAX_LENGTH, unit="characters")
    return text


def _perhaps_infinite(typed: Typed) -> bool:
    if not isinstance(typed, Operation):
        return False
    return typed.name in _PERHAPS_INFINITE or (typed.name in _PASSING_ON and _perhaps_infinite(typed.arguments[0]))
