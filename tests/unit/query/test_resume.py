"""A feed goes on exactly where it was: the two texts that say where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.core.errors import Invalid
from weft.query import resume

Positions = st.dictionaries(st.integers(0, 300), st.integers(0, 10**15), min_size=1, max_size=5)


@given(Positions)
def test_what_was_written_is_read_back(positions: dict[int, int]) -> None:
    assert resume.from_text(resume.to_text(positions)) == positions
    assert resume.from_event_id(resume.to_event_id(positions)) == positions


def test_an_event_id_names_the_last_offset_sent_and_from_the_next_one_to_send() -> None:
    assert resume.from_event_id("0:41") == {0: 42}
    assert resume.from_event_id("0:-1,1:6") == {0: 0, 1: 7}
    assert resume.from_text("0:41") == {0: 41}


WRONG = ["", "0", "0:", ":1", "a:1", "0:1,0:2", "0:1;1:2", "0:1,", "0:\u0663", "0:-2", "0:" + "9" * 30]


@pytest.mark.parametrize("text", WRONG)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        resume.from_text(text)
    with pytest.raises(Invalid):
        resume.from_event_id(text)
    with pytest.raises(Invalid):
        resume.parse_start(text)


def test_there_is_no_offset_before_the_first_to_begin_at() -> None:
    with pytest.raises(Invalid):
        resume.from_text("0:-1")


@pytest.mark.parametrize("text", ["latest", "earliest"])
def test_the_two_words_stay_words(text: str) -> None:
    assert resume.parse_start(text) == text


def test_a_topic_without_partitions_is_resumed_from_its_beginning() -> None:
    assert (resume.to_text({}), resume.to_event_id({})) == ("earliest", "earliest")
    assert resume.from_text("earliest") == resume.from_event_id("earliest") == {}
