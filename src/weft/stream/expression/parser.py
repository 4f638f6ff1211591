"""From the text of an expression to its tree.

Binding strength, weakest first: `or`, `and`, `not`, comparisons and `in` (which do not chain), `+ -`, `* / %`, the sign.
"""

import re
from typing import Final, NoReturn, cast

from weft.stream.expression.fault import excerpt, fault
from weft.stream.expression.tokens import Token, tokens
from weft.stream.expression.tree import (
    Arithmetic,
    ArithmeticSign,
    Call,
    Comparator,
    Comparison,
    Listing,
    Logical,
    LogicalWord,
    Membership,
    Name,
    Negative,
    Node,
    Not,
    Null,
    Number,
    Text,
    Truth,
    walk,
)

MAX_LENGTH: Final = 2_000
MAX_DEPTH: Final = 32
MAX_NODES: Final = 200
RATIO: Final = "ratio"  # what it takes may have conditions of their own

_COMPARATORS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_UNFIT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_VALUES: Final = frozenset({"true", "false", "null"})
_ADDING: Final = frozenset({"+", "-"})
_MULTIPLYING: Final = frozenset({"*", "/", "%"})
_OPERAND: Final = "a name, a number, a text, a function or '('"


def parse(text: str) -> Node:
    """The tree of `text`. Raises Invalid, which names the column and what was expected there."""
    if len(text) > MAX_LENGTH:
        raise fault(
            f"an expression has at most {MAX_LENGTH} characters, this one {len(text)}", text[:MAX_LENGTH], MAX_LENGTH + 1
        )
    unfit = _UNFIT.search(text)
    if unfit is not None:
        raise fault(f"{unfit.group()!r} is no character of an expression", text, unfit.start() + 1)
    if not text.strip():
        raise fault("the expression is empty; write for example temperature > 30", text, 1, 0, expected=_OPERAND)
    return _Parser(text).whole()


class _Parser:
    """Recursive descent over the tokens; how deep it may go is counted, how long it takes is linear."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0
        self._wheres = 0  # how many conditions behind a call we are in
        self._where_is_taken = False  # by the call we stand in, so that the name or call before it leaves it alone

    def whole(self) -> Node:
        node = self._any()
        if self._token.kind != "end":
            self._unexpected_rest()
        for count, (depth, part) in enumerate(walk(node), start=1):
            if depth > MAX_DEPTH:
                raise self._too_deep(part.column)
            if count > MAX_NODES:
                raise fault(f"an expression has at most {MAX_NODES} parts; split it", self._text, part.column, part.length)
        return node

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _is(self, *words: str) -> bool:
        token = self._tokens[self._at]
        return token.text in words and token.kind in {"sign", "keyword"}

    def _span(self, first: int) -> tuple[int, int]:
        """Column and length from the token at index `first` to the last one taken."""
        start, last = self._tokens[first], self._tokens[self._at - 1]
        return start.column, last.column + last.length - start.column

    def _any(self, *, where_is_taken: bool = False) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._too_deep(self._token.column)
        taken, self._where_is_taken = self._where_is_taken, where_is_taken
        node = self._logical("or")
        self._where_is_taken = taken
        self._depth -= 1
        return node

    def _logical(self, word: LogicalWord) -> Node:
        first = self._at
        terms = [self._logical("and") if word == "or" else self._negated()]
        while self._is(word):
            self._next()
            terms.append(self._logical("and") if word == "or" else self._negated())
        if len(terms) == 1:
            return terms[0]
        column, length = self._span(first)
        return Logical(column=column, length=length, word=word, terms=tuple(terms))

    def _negated(self) -> Node:
        first = self._at
        while self._is("not"):
            self._next()
        firsts = range(first, self._at)
        if len(firsts) > MAX_DEPTH:
            raise self._too_deep(self._tokens[first].column)
        node = self._comparison()
        for start in reversed(firsts):
            column, length = self._span(start)
            node = Not(column=column, length=length, operand=node)
        return node

    def _comparison(self) -> Node:
        first = self._at
        left = self._sum()
        if self._is("in") or (self._is("not") and self._tokens[self._at + 1].text == "in"):
            return self._membership(first, left)
        if not self._is(*_COMPARATORS):
            return left
        sign = self._next().text
        right = self._sum()
        column, length = self._span(first)
        if self._is(*_COMPARATORS):
            raise self._chained()
        return Comparison(column=column, length=length, sign=cast("Comparator", sign), left=left, right=right)

    def _chained(self) -> Exception:
        token = self._token
        better = "write a < b and b < c"
        if self._wheres:
            better = 'put the condition of the aggregate inside, as in avg(x where type == "reading") > 30'
        return fault(f"comparisons do not chain; {better}", self._text, token.column, token.length, expected="and")

    def _membership(self, first: int, item: Node) -> Node:
        negated = self._next().text == "not"
        if negated:
            self._next()
        group = self._listing() if self._is("[") else self._sum()
        column, length = self._span(first)
        node = Membership(column=column, length=length, item=item, group=group)
        return Not(column=column, length=length, operand=node) if negated else node

    def _listing(self) -> Node:
        first = self._at
        self._next()
        items: list[Node] = []
        while not self._is("]"):
            if items:
                self._expect(",", "or ']' in a list")
            items.append(self._sum())
        self._next()
        column, length = self._span(first)
        if not items:
            raise fault("an empty list holds nothing, so this is never true", self._text, column, length, expected="a value")
        return Listing(column=column, length=length, items=tuple(items))

    def _sum(self) -> Node:
        return self._chain(_ADDING)

    def _chain(self, signs: frozenset[str]) -> Node:
        first = self._at
        adding = signs is _ADDING
        left = self._chain(_MULTIPLYING) if adding else self._signed()
        while self._is(*signs):
            sign = cast("ArithmeticSign", self._next().text)
            right = self._chain(_MULTIPLYING) if adding else self._signed()
            column, length = self._span(first)
            left = Arithmetic(column=column, length=length, sign=sign, left=left, right=right)
        return left

    def _signed(self) -> Node:
        first = self._at
        while self._is("-", "+"):
            self._next()
        firsts = range(first, self._at)
        if len(firsts) > MAX_DEPTH:
            raise self._too_deep(self._tokens[first].column)
        node = self._operand()
        for start in reversed(firsts):
            if self._tokens[start].text == "-":
                column, length = self._span(start)
                node = Negative(column=column, length=length, operand=node)
        return node

    def _operand(self) -> Node:
        token = self._token
        if token.kind == "name":
            return self._named()
        if self._is("("):
            return self._grouped()
        if token.kind in {"number", "text"} or (token.kind == "keyword" and token.text in _VALUES):
            return self._value()
        raise self._met(token, _OPERAND)

    def _value(self) -> Node:
        token = self._next()
        if token.kind == "number":
            return Number(column=token.column, length=token.length, text=token.text, value=cast("float", token.value))
        if token.kind == "text":
            return Text(column=token.column, length=token.length, value=cast("str", token.value))
        if token.text == "null":
            return Null(column=token.column, length=token.length)
        return Truth(column=token.column, length=token.length, value=token.text == "true")

    def _grouped(self) -> Node:
        self._next()
        node = self._any()
        self._expect(")", "to close the parenthesis")
        return node

    def _named(self) -> Node:
        first = self._at
        token = self._next()
        if self._is("("):
            return self._call(first, token.text)
        path = [token.text]
        while self._is(".", "["):
            path.append(self._part())
        column, length = self._span(first)
        if self._is("("):
            raise fault(f"{excerpt('.'.join(path))} is no function", self._text, column, length)
        if len(path) == 1 and self._is("where") and not self._where_is_taken:
            return self._finished_call(first, token.text, ())
        return Name(column=column, length=length, path=tuple(path))

    def _part(self) -> str:
        """What follows a name: `.word` or `["any text"]`."""
        if self._next().text == ".":
            token = self._next()
            written = self._written(token)
            if token.kind in {"name", "keyword"} and not written.startswith(("!", "&", "|")):
                return written
            raise self._met(token, "the name of a field")
        token = self._next()
        if token.kind != "text":
            raise self._met(token, 'a field in quotes, as in data["gyro-x"]')
        self._expect("]", "after the field")
        return cast("str", token.value)

    def _call(self, first: int, function: str) -> Node:
        self._next()
        arguments: list[Node] = []
        while not self._is(")", "where"):
            if arguments:
                self._expect(",", f"or ')' after what {function} takes")
            arguments.append(self._any(where_is_taken=function != RATIO))
        inner = self._where() if self._is("where") else None
        self._expect(")", f"after the condition of {function}")
        return self._finished_call(first, function, tuple(arguments), inner)

    def _finished_call(self, first: int, function: str, arguments: tuple[Node, ...], where: Node | None = None) -> Node:
        if self._is("where") and not self._where_is_taken:
            if where is not None:
                raise fault(
                    f"{function} has two conditions; join them with and", self._text, self._token.column, 5, expected="and"
                )
            self._wheres += 1
            where = self._where()
            self._wheres -= 1
        column, length = self._span(first)
        return Call(column=column, length=length, function=function, arguments=arguments, where=where)

    def _where(self) -> Node:
        self._next()
        return self._any(where_is_taken=True)

    def _expect(self, sign: str, purpose: str) -> None:
        if not self._is(sign):
            raise self._met(self._token, f"'{sign}' {purpose}", sign)
        self._next()

    def _unexpected_rest(self) -> NoReturn:
        token = self._token
        if self._is(")", "]"):
            raise fault(f"{token.text} closes nothing", self._text, token.column, token.length)
        if self._is("where"):
            raise fault(
                'only an aggregate has a where, as in avg(temperature where type == "reading")', self._text, token.column, 5
            )
        raise self._met(token, "and, or, a comparison or the end")

    def _met(self, token: Token, wanted: str, expected: str | None = None) -> Exception:
        what = "the end" if token.kind == "end" else f"'{excerpt(self._written(token))}'"
        return fault(
            f"met {what}, expected {wanted}", self._text, token.column, max(token.length, 1), expected=expected or wanted
        )

    def _written(self, token: Token) -> str:
        return self._text[token.column - 1 : token.column - 1 + token.length]

    def _too_deep(self, column: int) -> Exception:
        return fault(f"an expression is at most {MAX_DEPTH} levels deep; split it", self._text, column)
