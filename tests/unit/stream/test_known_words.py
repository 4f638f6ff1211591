"""Words and their numbers: two keys that were taken for one would add up what has nothing to do with each other."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weft.stream.column import Column
from weft.stream.engine.keys import Keys
from weft.stream.engine.known import KnownWords
from weft.stream.words import MOST_BYTES, Words

ODD = ["", "\x00", "\x00\x00", "a", "a\x00", "a\x01", "abcdefg", "abcdefgh", "abcdefg\x01", "abcdefgÿ", "abcdefgÿ" * 3, "é" * 4]
LONG = ["x" * (MOST_BYTES - 1), "x" * MOST_BYTES, "x" * (MOST_BYTES + 1), "x" * MOST_BYTES + "y"]
texts = st.one_of(st.sampled_from([*ODD, *LONG]), st.text(alphabet="ab\x00ÿ", max_size=20), st.text(max_size=70))
batches = st.lists(st.lists(texts, max_size=30), max_size=8)


def words_of(found: Sequence[str], offset: int = 0) -> Words:
    """Different texts as decoding leaves them, perhaps not from the beginning of their buffer."""
    return Words(pa.array([*["before"] * offset, *found], pa.string())[offset:])


def column_of(found: Sequence[str | None], *, arrow: bool) -> Column:
    different = list(dict.fromkeys(text for text in found if text is not None))
    codes = np.array([-1 if text is None else different.index(text) for text in found], dtype=np.int32)
    known = np.array([text is not None for text in found], dtype=np.bool_)
    return Column("text", codes, None if known.all() else known, words_of(different) if arrow else different)


@given(st.lists(texts, unique=True, max_size=30), st.integers(0, 3))
def test_words_are_the_texts_they_are_made_of(found: list[str], offset: int) -> None:
    words = words_of(found, offset)
    assert list(words) == found
    assert len(words) == len(found)
    places = np.arange(len(found))[::2]
    assert words.only(places) == found[::2]


@given(batches)
def test_a_word_is_found_under_its_own_number_and_no_other_one_is(found: list[list[str]]) -> None:
    known, numbers = KnownWords(), dict[str, int]()
    for batch in found:
        words = words_of(list(dict.fromkeys(batch)), offset=len(batch) % 2)
        seen = known.find(words.spelled)
        for text, number in zip(words, seen.tolist(), strict=True):
            assert number == (numbers.get(text, -1) if len(text.encode()) < MOST_BYTES else -1)
        new = [place for place, text in enumerate(words) if text not in numbers]
        numbers |= {words[place]: len(numbers) + order for order, place in enumerate(new)}
        known.add([column[new] for column in words.spelled], np.array([numbers[words[place]] for place in new], dtype=np.int64))


def test_many_words_keep_their_numbers() -> None:
    known, count = KnownWords(), 50_000
    words = words_of([f"device-{number}" for number in range(count)])
    for start in range(0, count, 7_000):
        part = slice(start, start + 7_000)
        known.add([column[part] for column in words.spelled], np.arange(count)[part])
    found = known.find(words.spelled)
    assert set(found[found != np.arange(count)].tolist()) <= {-1}
    assert np.count_nonzero(found < 0) < count / 100
    others = words_of([f"device+{number}" for number in range(count)])
    assert (known.find(others.spelled) == -1).all()


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys look words up by their bytes, however few they are."""
    monkeypatch.setattr("weft.stream.engine.keys._FEW_WORDS", 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.one_of(st.none(), texts), min_size=1, max_size=30), min_size=1, max_size=6), st.integers(0, 40))
def test_keys_have_the_numbers_that_a_dictionary_gives_them(found: list[list[str | None]], limit: int) -> None:
    decoded, plain = Keys(), Keys()
    for at, batch in enumerate(found):
        given_ = decoded.number([column_of(batch, arrow=True)], len(batch), limit)
        assert given_.tolist() == plain.number([column_of(batch, arrow=False)], len(batch), limit).tolist()
        assert [None if number < 0 else decoded.values[number] for number in given_.tolist()] == [
            text if number >= 0 else None for text, number in zip(batch, given_.tolist(), strict=True)
        ]
        if at % 2:
            used = np.arange(len(decoded))[::2]
            assert decoded.forget(used).tolist() == plain.forget(used).tolist()


def test_words_that_share_their_slots_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may choose the names of devices so that they collide."""
    monkeypatch.setattr(KnownWords, "_first_slots", lambda _, words: np.zeros(len(words[0]), dtype=np.int64))
    keys, batch = Keys(), [f"device-{number}" for number in range(200)]
    first = keys.number([column_of(batch, arrow=True)], len(batch), 1_000)
    again = keys.number([column_of(batch[::-1], arrow=True)], len(batch), 1_000)
    assert sorted(first.tolist()) == list(range(200))
    assert again.tolist() == first[::-1].tolist()
