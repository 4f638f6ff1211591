"""What is wrong with an expression, and where: the one way this language refuses a text."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

from weft.core.errors import Invalid

_EXCERPT: Final = 60
_LONGEST_WORD: Final = 64
_MOST_WORDS: Final = 20


def fault(message: str, expression: str, column: int, length: int = 1, *, expected: str | None = None) -> Invalid:
    """An Invalid that points at its place: columns count from 1, in characters."""
    details = {} if expected is None else {"expected": expected}
    return Invalid(f"{message} (column {column})", column=column, length=length, expression=expression, **details)


def excerpt(text: str) -> str:
    """A text short enough to stand in a sentence."""
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean x?` with the nearest known word, or nothing where none is near."""
    nearest = nearest_to(word, known)
    return f"; did you mean {nearest}?" if nearest else ""


def nearest_to(word: str, known: Iterable[str]) -> str | None:
    """The known word most like this one, if any is like it.

    Only words that begin or end the same way and are about as long are looked at, and not many: comparing is slow.
    """
    if not word or len(word) > _LONGEST_WORD:
        return None
    words = [name for name in known if name and abs(len(name) - len(word)) <= 3]
    same = next((name for name in words if name.lower() == word.lower()), None)
    if same is not None:
        return same
    first, last = word[word.rfind(".") + 1 :][:1], word[-1]
    alike = (name for name in words if name[name.rfind(".") + 1 :][:1] == first or name[-1] == last)
    return next(iter(get_close_matches(word, islice(alike, _MOST_WORDS), n=1, cutoff=0.75)), None)
