"""Completions: what could stand at a place of an expression that is still being typed."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

import msgspec

from weft.core.errors import Invalid
from weft.core.event import SEVERITIES
from weft.core.event_types import BUILT_IN
from weft.stream.expression.functions import AGGREGATES, FUNCTIONS, METRICS, find_aggregate
from weft.stream.expression.names import Names
from weft.stream.expression.parser import MAX_LENGTH, RATIO
from weft.stream.expression.tokens import Token, tokens
from weft.stream.expression.write import write_text

MOST: Final = 50
"""How many completions are offered at most."""

_OPERAND_BEFORE: Final = frozenset({"and", "or", "not", "in", "where", "==", "!=", "<=", ">=", *"([,.<>+-*/%"})
_FOLLOWING: Final = (
    ("and", "both must be true"),
    ("or", "one must be true"),
    ("==", "is"),
    ("!=", "is not"),
    (">", "is above"),
    (">=", "is at least"),
    ("<", "is below"),
    ("<=", "is at most"),
    ("in", "is one of a list, or of the tags"),
    ("not in", "is none of a list"),
    ("+", "plus"),
    ("-", "less"),
    ("*", "times"),
    ("/", "divided by; by 0 it is null"),
)

Sort = Literal["name", "function", "aggregate", "metric", "word", "value"]


class Completion(msgspec.Struct, frozen=True):
    """What could stand there: `text` takes the place of `length` characters from `column` on."""

    text: str
    sort: Sort
    sentence: str
    column: int
    length: int
    signature: str | None = None


class _Offer(NamedTuple):
    text: str
    sort: Sort
    sentence: str
    signature: str | None = None


class _Place(NamedTuple):
    """Where the cursor is: what was begun there, and what stands before it."""

    begun: str
    before: list[Token]
    column: int


def complete(text: str, cursor: int, *, events: Names, window: Names | None = None) -> list[Completion]:
    """What could stand at `cursor`, which counts the characters before it. `window` are the names of values over a window,
    where the expression is about one.
    """
    place = _place(text[: min(max(cursor, 0), MAX_LENGTH)])
    if place is None:
        return []
    found = _values(place) or _offered(place, events, window)
    return list(_fitting(place, found))[:MOST]


def _place(before: str) -> _Place | None:
    """None where nothing can be said, such as after a sign that means nothing."""
    start = _word_start(before)
    try:
        found = tokens(before[:start])[:-1]
    except Invalid as wrong:
        if wrong.details.get("expected") not in {'"', "'"}:
            return None
        start = wrong.details["column"] - 1  # of the text that is still open
        found = tokens(before[:start])[:-1]
    return _Place(before[start:], found, start + 1)


def _word_start(before: str) -> int:
    """Where the word begins that ends here, dots inside it included."""
    start = len(before)
    while start and (before[start - 1].isalnum() or before[start - 1] in "_."):
        start -= 1
    while start < len(before) and not (before[start].isalpha() or before[start] == "_"):
        start += 1
    return start


def _offered(place: _Place, events: Names, window: Names | None) -> Iterator[_Offer]:
    """Everything that may stand there."""
    if place.begun[:1] in {'"', "'"}:
        return
    last = place.before[-1] if place.before else None
    if last is not None and last.text not in _OPERAND_BEFORE:
        for word, sentence in _FOLLOWING:
            yield _Offer(word, "word", sentence)
        if window is not None and (last.text == ")" or last.text in METRICS):
            yield _Offer("where", "word", "only events of which this is true")
        return
    if window is None or _is_inside_aggregate(place.before):
        yield from _names(events)
    else:
        yield from _over_window(window)
    if window is not None and _enclosing(place.before) == RATIO:
        yield from _names(events)
    for function in FUNCTIONS.values():
        yield _Offer(f"{function.name}(", "function", function.sentence, f"{function.signature} -> {function.gives}")
    if last is None or last.text in {"and", "or", "(", "where"}:
        yield _Offer("not", "word", "the opposite")


def _names(names: Names) -> Iterator[_Offer]:
    for candidate in names.candidates():
        yield _Offer(candidate.name, "name", candidate.sentence, candidate.kind)


def _over_window(names: Names) -> Iterator[_Offer]:
    yield from _names(names)
    for metric in METRICS.values():
        yield _Offer(metric.name, "metric", metric.sentence, metric.text)
    for aggregate in AGGREGATES.values():
        yield _Offer(f"{aggregate.name}(", "aggregate", aggregate.sentence, f"{aggregate.signature} -> {aggregate.gives}")


def _values(place: _Place) -> list[_Offer]:
    """Values that are usual for the name before a comparison."""
    words = [token.text for token in place.before]
    name: str | None = None
    if len(words) >= 2 and words[-1] in {"==", "!="}:
        name = words[-2]
    elif "in" in words and "[" in words and "]" not in words[_last(words, "[") :]:
        name = next((word for word in reversed(words[: _last(words, "in")]) if word != "not"), None)
    usual: Iterable[str] = {"severity": SEVERITIES, "type": BUILT_IN}.get(name or "", ())
    return [_Offer(write_text(value), "value", f"a usual {name}") for value in usual]


def _last(words: list[str], word: str) -> int:
    return len(words) - 1 - words[::-1].index(word)


def _enclosing(before: list[Token]) -> str | None:
    """The function whose arguments the place is in."""
    return next(reversed(_open_calls(before)), None)


def _is_inside_aggregate(before: list[Token]) -> bool:
    calls = _open_calls(before)
    if any(name != RATIO and find_aggregate(name) is not None for name in calls):
        return True
    depth = 0
    for token in reversed(before):
        depth += (token.text == ")") - (token.text == "(")
        if depth == 0 and token.text == "where":
            return True
    return False


def _open_calls(before: list[Token]) -> list[str]:
    """The functions whose parentheses are still open, outermost first; a plain parenthesis has no name."""
    calls: list[str] = []
    for at, token in enumerate(before):
        if token.text == "(" and token.kind == "sign":
            named = at > 0 and before[at - 1].kind == "name"
            calls.append(before[at - 1].text if named else "")
        elif token.text == ")" and token.kind == "sign" and calls:
            calls.pop()
    return [name for name in calls if name]


def _fitting(place: _Place, offered: Iterable[_Offer]) -> Iterator[Completion]:
    """Those that go on from what was begun: first those that begin so, then those that have it inside."""
    begun = place.begun.lower().lstrip("\"'")
    first: list[_Offer] = []
    inside: list[_Offer] = []
    for offer in dict.fromkeys(offered):
        text = offer.text.lower().lstrip('"')
        if text.startswith(begun):
            first.append(offer)
        elif begun in text:
            inside.append(offer)
    for offer in first + inside:
        yield Completion(offer.text, offer.sort, offer.sentence, place.column, len(place.begun), offer.signature)
