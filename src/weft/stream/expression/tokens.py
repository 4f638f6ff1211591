"""Tokens: the words and signs of an expression, each with its column."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from weft.stream.expression.fault import did_you_mean, excerpt, fault

KEYWORDS: Final = frozenset({"and", "or", "not", "in", "where", "true", "false", "null"})
UNITS: Final = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
PERCENT: Final = Decimal("0.01")

_INT64: Final = range(-(2**63), 2**63)
_LONGEST_NUMBER: Final = 40
_LOOKALIKES: Final = {"≥": ">=", "≤": "<=", "≠": "!=", "\u00d7": "*", "÷": "/", "\u2212": "-", "{": "(", "}": ")"}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_SAME: Final = {"&&": "and", "||": "or", "!": "not"}
_MENDED: Final = {"=": "==", "===": "==", "<>": "!=", "!==": "!=", "&": "and", "|": "or", "=>": ">=", "=<": "<="}

# Every quantifier is possessive or stands over one class of characters, so that matching is linear in the text.
_TOKEN: Final = re.compile(
    r"""\s*+(?:(?P<percentile>p[0-9]{1,2}+(?:\.[0-9]{1,3}+)?+(?=\s*+\())
    |(?P<name>[^\W\d]\w*+)
    |(?P<number>(?:[0-9]++(?:\.[0-9]++)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+)(?P<unit>%(?![\w"'(.\[])|[^\W\d]\w*+)?+
    |(?P<text>"(?:[^"\\]++|\\.)*+"|'(?:[^'\\]++|\\.)*+')
    |(?P<sign>===|!==|==|!=|<=|>=|<>|=>|=<|&&|\|\||[-+*/%<>=!&|(),.\[\]]))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)


class Token(NamedTuple):
    """A word or sign. `kind` is what it is; `text` how it was written, save that `&&` is `and`; `value` of a number or text."""

    kind: Literal["name", "keyword", "number", "text", "sign", "end"]
    text: str
    column: int
    length: int
    value: float | str | None = None


def tokens(expression: str) -> list[Token]:
    """All of them, the last one of kind `end`. Raises Invalid at the first character that begins none."""
    return list(_scan(expression))


def _scan(expression: str) -> Iterator[Token]:
    at, end = 0, len(expression.rstrip())
    while at < end:
        match = _TOKEN.match(expression, at)
        if match is None:
            raise _unreadable(expression, len(expression) - len(expression[at:].lstrip()))
        yield _token(expression, match)
        at = match.end()
    yield Token("end", "", len(expression) + 1, 0)


def _token(expression: str, match: re.Match[str]) -> Token:
    kind = "number" if match.lastgroup == "unit" else str(match.lastgroup)
    start = match.start(kind)
    text, column = expression[start : match.end()], start + 1
    if kind == "sign":
        if text in _MENDED:
            raise fault(
                f"{text} means nothing here; write {_MENDED[text]}", expression, column, len(text), expected=_MENDED[text]
            )
        same = _SAME.get(text)
        return Token("keyword", same, column, len(text)) if same else Token("sign", text, column, len(text))
    if kind == "text":
        return Token("text", text, column, len(text), _unquoted(expression, text, column))
    if kind == "number":
        return Token("number", text, column, len(text), _number(expression, match))
    return _word(text, column)


def _word(text: str, column: int) -> Token:
    """A name, or a keyword in small letters or (the habit of SQL) in capitals."""
    word = text if text in KEYWORDS else text.lower() if text.isupper() and text.lower() in KEYWORDS else None
    return Token("name", text, column, len(text)) if word is None else Token("keyword", word, column, len(text))


def _number(expression: str, match: re.Match[str]) -> float:
    digits, unit, column = match["number"], match["unit"], match.start("number") + 1
    if len(digits) > _LONGEST_NUMBER:
        raise fault(
            f"{excerpt(digits)} is too long a number: at most {_LONGEST_NUMBER} characters", expression, column, len(digits)
        )
    if unit is not None and unit != "%" and unit not in UNITS:
        hint = did_you_mean(unit, UNITS) or "; durations are 500ms, 30s, 5m, 1h, 7d and a share is 5%"
        raise fault(
            f"{excerpt(unit)} is no unit{hint}", expression, match.start("unit") + 1, len(unit), expected="ms, s, m, h, d or %"
        )
    try:
        value = _value(digits, PERCENT if unit == "%" else UNITS[unit] if unit else None)
    except ArithmeticError:
        value = float("inf")
    if value in {float("inf"), float("-inf")}:
        raise fault(f"{digits}{unit or ''} is too large a number", expression, column, match.end() - column + 1)
    return value


def _value(digits: str, unit: Decimal | None) -> float:
    """An int where nothing but digits stand there and it has 64 bits, else a float."""
    factor = Decimal(1) if unit is None else unit
    if digits.isdecimal() and factor == int(factor):
        whole = int(digits) * int(factor)
        return whole if whole in _INT64 else float(whole)
    return float(digits) if unit is None else float(Decimal(digits) * factor)


def _unquoted(expression: str, text: str, column: int) -> str:
    def character(match: re.Match[str]) -> str:
        sign = match[1]
        if len(sign) == 1 and sign in "\\\"'":
            return sign
        if sign in _ESCAPES:
            return _ESCAPES[sign]
        if len(sign) == 5 and (code := int(sign[1:], 16)) and not 0xD800 <= code <= 0xDFFF:
            return chr(code)
        raise fault(
            f"\\{sign} stands for nothing; write \\\\ for a backslash", expression, column + 1 + match.start(), len(sign) + 1
        )

    return _ESCAPE.sub(character, text[1:-1])


def _unreadable(expression: str, at: int) -> Exception:
    sign = expression[at]
    if sign in "\"'":
        return fault(f"the text that begins with {sign} never ends", expression, at + 1, len(expression) - at, expected=sign)
    if sign in "\u201c\u201d\u201e\u2018\u2019`":  # the quotes that word processors and Markdown put in
        return fault(f'{sign} does not quote here; write "', expression, at + 1, expected='"')
    hint = _LOOKALIKES.get(sign)
    means = f"; write {hint}" if hint else ""
    return fault(f"{sign!r} means nothing here{means}", expression, at + 1, expected=hint)
