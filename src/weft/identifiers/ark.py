"""How an ARK is written: `ark:NAAN/shoulder+blade+check`, as draft-kunze-ark and NOID have it.

The check character is NOID's: the values of the characters of `NAAN/shoulder+blade`, each times its place counted from 1,
summed up modulo 29. Because 29 is prime it finds every wrong character and every two neighbours that changed places, as long
as the whole has no more than `MAX_CHECKED_CHARS` characters: at the 29th place a weight is 0.
"""

import secrets
from typing import Final

BETANUMERIC: Final = "0123456789bcdfghjkmnpqrstvwxz"
"""Digits and consonants without `l`: no words come about, and no two characters look alike."""
MAX_CHECKED_CHARS: Final = 28
"""Longest NAAN/shoulder+blade+check for which the check character keeps its promise."""

_VALUES: Final = {character: value for value, character in enumerate(BETANUMERIC)}


def check_character(text: str) -> str:
    """The check character of `NAAN/shoulder+blade`. Whatever is not betanumeric, the slash among them, counts 0."""
    return BETANUMERIC[sum(place * _VALUES.get(character, 0) for place, character in enumerate(text, 1)) % len(BETANUMERIC)]


def has_valid_check(text: str) -> bool:
    """Whether `NAAN/shoulder+blade+check` ends in its check character. What NOID could not have minted never does."""
    naan, slash, name = text.partition("/")
    if not slash or not naan or len(name) < 2 or not _VALUES.keys() >= set(naan + name):
        return False
    return check_character(text[:-1]) == text[-1]


def make_checked(naan: str, shoulder: str, blade_chars: int) -> str:
    """A new `NAAN/shoulder+blade+check`. The blade comes from the system's random generator: it tells nothing."""
    unchecked = f"{naan}/{shoulder}{''.join(secrets.choice(BETANUMERIC) for _ in range(blade_chars))}"
    return unchecked + check_character(unchecked)


def list_slips(text: str) -> list[str]:
    """The names that have a valid check character and differ from `text` in one character, or in two neighbours' order."""
    start = text.find("/") + 1
    near = {
        f"{text[:place]}{character}{text[place + 1 :]}"
        for place in range(start, min(len(text), MAX_CHECKED_CHARS))
        for character in BETANUMERIC
    }
    near |= {
        f"{text[:place]}{text[place + 1]}{text[place]}{text[place + 2 :]}"
        for place in range(start, min(len(text), MAX_CHECKED_CHARS) - 1)
    }
    return sorted(name for name in near - {text} if has_valid_check(name))
