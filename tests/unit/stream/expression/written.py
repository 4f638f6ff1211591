"""Random expressions that come with what they mean: each is a text and a plain function of an event's values.

The functions are the oracle. They are written the slow and obvious way and share nothing with what they check.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Meaning = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Written:
    """An expression and its meaning; None is unknown."""

    text: str
    meaning: Meaning

    def __repr__(self) -> str:
        return self.text


NAMES = ("data.a", "data.b", 'data["gyro-x"].rms')
WORDS = st.sampled_from(
    ["", "a", "A", "lab/door", "Ärger", "é", "İstanbul", "it's", 'say "so"', "\\", "1", " 2.5 ", "-3e2", "z\n", "\U0001f9ea"]
)
NUMBERS = st.one_of(
    st.integers(-5, 5),
    st.sampled_from([0.5, -0.0, 1e308, -1e308, 5e-324, 1e-5, 0.1, 2**53, 2**53 + 1, 2**63, -(2**63), 123456.789]),
    st.floats(allow_nan=False, allow_infinity=False),
)
JSON = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS, st.just([]), st.just({}))
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(NAMES, JSON),
        "type": st.sampled_from(["error", "metric"]),
        "user_id": st.one_of(st.none(), WORDS),
        "tags": st.lists(WORDS, max_size=3),
        "time": st.floats(0, 2e9),
    },
)


def quoted(text: str) -> str:
    """A text as somebody would type it."""
    for sign, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        text = text.replace(sign, written)
    return f'"{text}"'


def finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def number_in(event: Mapping[str, Any], name: str) -> float | None:
    value = event.get(name)
    return float(value) if is_number(value) else None


def of_type(event: Mapping[str, Any], name: str, family: type) -> Any:
    value = event.get(name)
    return value if isinstance(value, family) else None


def calculated(sign: str, left: float | None, right: float | None) -> float | None:
    if left is None or right is None or (sign in "/%" and right == 0):
        return None
    results = {"+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right, "/": lambda: left / right}
    return finite(math.fmod(left, right) if sign == "%" else results[sign]())


def compared(sign: str, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    is_less, is_same = left < right, left == right
    return {"==": is_same, "!=": not is_same, "<": is_less, "<=": is_less or is_same}.get(
        sign, not is_less if sign == ">=" else not is_less and not is_same
    )


def read_number(text: str | None) -> float | None:
    if text is None or set(text) - set("0123456789+-.eE "):
        return None
    try:
        return finite(float(text.strip(" "))) if not text.strip(" ").startswith(("_",)) else None
    except ValueError:
        return None


def written_number(number: float | None) -> str | None:
    if number is None:
        return None
    return str(int(number)) if number == math.floor(number) and abs(number) < 2**53 else repr(number)


def small(text: str | None) -> str | None:
    return None if text is None else "".join(sign.lower()[:1] for sign in text)


def first_known(values: list[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def joined(word: str, values: list[bool | None]) -> bool | None:
    decisive = word == "or"
    if decisive in values:
        return decisive
    return None if None in values else not decisive


def literals() -> st.SearchStrategy[Written]:
    whole = st.integers(0, 2**64).map(lambda number: Written(str(number), lambda _: float(number)))
    fraction = st.floats(0, 1e300).map(lambda number: Written(repr(number), lambda _: number))
    share = st.integers(0, 100).map(lambda number: Written(f"{number}%", lambda _: number / 100))
    minutes = st.integers(0, 100).map(lambda number: Written(f"{number}m", lambda _: number * 60.0))
    return st.one_of(whole, fraction, share, minutes)


def number_fields() -> st.SearchStrategy[Written]:
    fields = st.sampled_from(NAMES).map(lambda name: Written(f"number({name})", lambda event: number_in(event, name)))
    return st.one_of(fields, st.just(Written("time", lambda event: number_in(event, "time"))))


def text_leaves() -> st.SearchStrategy[Written]:
    fields = st.sampled_from(NAMES).map(lambda name: Written(f"text({name})", lambda event: of_type(event, name, str)))
    attributes = st.sampled_from(["type", "user_id"]).map(lambda name: Written(name, lambda event: of_type(event, name, str)))
    return st.one_of(WORDS.map(lambda word: Written(quoted(word), lambda _: word)), fields, attributes)


def truth_leaves() -> st.SearchStrategy[Written]:
    fields = st.sampled_from(NAMES).map(lambda name: Written(f"boolean({name})", lambda event: of_type(event, name, bool)))
    missing = st.sampled_from(NAMES).map(lambda name: Written(f"is_null({name})", lambda event: event.get(name) is None))
    return st.one_of(fields, missing, st.booleans().map(lambda value: Written(str(value).lower(), lambda _: value)))


def _pair(sign: str, left: Written, right: Written, rule: Callable[[str, Any, Any], Any]) -> Written:
    return Written(f"({left.text} {sign} {right.text})", lambda event: rule(sign, left.meaning(event), right.meaning(event)))


def _call(name: str, function: Callable[[Any], Any], argument: Written) -> Written:
    return Written(f"{name}({argument.text})", lambda event: function(argument.meaning(event)))


def _coalesced(choices: list[Written]) -> Written:
    inside = ", ".join(choice.text for choice in choices)
    return Written(f"coalesce({inside})", lambda event: first_known([choice.meaning(event) for choice in choices]))


def numbers(depth: int) -> st.SearchStrategy[Written]:
    """Expressions that are numbers."""
    leaves = st.one_of(literals(), number_fields())
    if depth == 0:
        return leaves
    inner = numbers(depth - 1)
    return st.one_of(
        leaves,
        st.builds(_pair, st.sampled_from("+-*/%"), inner, inner, st.just(calculated)),
        inner.map(lambda part: Written(f"(-{part.text})", lambda event: _negated(part.meaning(event)))),
        inner.map(lambda part: _call("abs", lambda value: None if value is None else abs(value), part)),
        st.lists(inner, min_size=2, max_size=3).map(_coalesced),
        texts(depth - 1).map(lambda part: _call("number", read_number, part)),
    )


def _negated(value: float | None) -> float | None:
    return None if value is None else -value


def texts(depth: int) -> st.SearchStrategy[Written]:
    """Expressions that are texts."""
    leaves = text_leaves()
    if depth == 0:
        return leaves
    return st.one_of(
        leaves,
        texts(depth - 1).map(lambda part: _call("lower", small, part)),
        st.lists(texts(depth - 1), min_size=2, max_size=3).map(_coalesced),
        number_fields().map(lambda part: _call("text", written_number, part)),
        truth_leaves().map(lambda part: _call("text", lambda value: None if value is None else str(value).lower(), part)),
    )


def conditions(depth: int) -> st.SearchStrategy[Written]:
    """Expressions that are true, false or unknown."""
    leaves = truth_leaves()
    if depth == 0:
        return leaves
    inner, signs = conditions(depth - 1), st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    return st.one_of(
        st.builds(_pair, signs, numbers(depth - 1), numbers(depth - 1), st.just(compared)),
        st.builds(_pair, signs, texts(depth - 1), texts(depth - 1).filter(_no_number), st.just(compared)),
        st.builds(_logical, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=4)),
        inner.map(lambda part: Written(f"(not {part.text})", lambda event: _opposite(part.meaning(event)))),
        st.builds(_tested, st.sampled_from(["startswith", "endswith", "contains"]), texts(depth - 1), texts(depth - 1)),
        st.builds(_tagged, texts(depth - 1)),
        st.builds(_listed, numbers(depth - 1), st.lists(literals(), min_size=1, max_size=4)),
        st.builds(
            _listed, texts(depth - 1), st.lists(text_leaves().filter(lambda leaf: leaf.text[0] == '"'), min_size=1, max_size=4)
        ),
        numbers(depth - 1).map(lambda part: _call("is_null", lambda value: value is None, part)),
    )


def _no_number(text: Written) -> bool:
    """Not a text in quotes that looks like a number: ordering by that is refused."""
    return not text.text.startswith('"') or read_number(text.text.strip('"')) is None


def _opposite(value: bool | None) -> bool | None:
    return None if value is None else not value


def _logical(word: str, terms: list[Written]) -> Written:
    inside = f" {word} ".join(term.text for term in terms)
    return Written(f"({inside})", lambda event: joined(word, [term.meaning(event) for term in terms]))


def _tested(function: str, text: Written, part: Written) -> Written:
    def meaning(event: Mapping[str, Any]) -> bool | None:
        whole, piece = text.meaning(event), part.meaning(event)
        if whole is None or piece is None:
            return None
        places = {"startswith": whole[: len(piece)] == piece, "endswith": whole[len(whole) - len(piece) :] == piece}
        return len(piece) <= len(whole) and places.get(function, piece in whole)

    return Written(f"{function}({text.text}, {part.text})", meaning)


def _tagged(item: Written) -> Written:
    def meaning(event: Mapping[str, Any]) -> bool | None:
        tags, value = event.get("tags"), item.meaning(event)
        return None if tags is None or value is None else any(tag == value for tag in tags)

    return Written(f"({item.text} in tags)", meaning)


def _listed(item: Written, choices: list[Written]) -> Written:
    def meaning(event: Mapping[str, Any]) -> bool | None:
        value = item.meaning(event)
        return None if value is None else any(value == choice.meaning(event) for choice in choices)

    return Written(f"({item.text} in [{', '.join(choice.text for choice in choices)}])", meaning)
