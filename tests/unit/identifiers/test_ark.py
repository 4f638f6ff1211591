"""ARKs: a slip of the pen is noticed before anybody looks in the wrong place."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from weft.identifiers.ark import BETANUMERIC, MAX_CHECKED_CHARS, check_character, has_valid_check, list_slips, make_checked

betanumeric = st.sampled_from(BETANUMERIC)
unchecked = st.builds(
    lambda naan, name: f"{naan}/{name}",
    st.text(betanumeric, min_size=5, max_size=9),
    st.text(betanumeric, min_size=3, max_size=MAX_CHECKED_CHARS - 11),
)
minted = st.builds(lambda text: text + check_character(text), unchecked)


def test_the_published_example_of_noid_checks() -> None:
    assert check_character("13030/xf93gt2") == "q"
    assert has_valid_check("13030/xf93gt2q")


@pytest.mark.parametrize(
    "text", ["", "/", "13030", "13030/", "13030/q", "/xf93gt2q", "13030/xf93gt2r", "1303O/xf93gt2q", "13030xf93gt2q"]
)
def test_what_noid_could_not_have_minted_does_not_check(text: str) -> None:
    assert not has_valid_check(text)


@given(minted, st.data())
def test_every_single_wrong_character_is_noticed(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    wrong = data.draw(st.characters(codec="utf-8"))
    assume(wrong != text[place])

    assert not has_valid_check(text[:place] + wrong + text[place + 1 :])


@given(minted, st.data())
def test_two_neighbours_that_changed_places_are_noticed(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text) - 2))
    one, other = text[place], text[place + 1]
    assume(one != other and "/" not in {one, other})

    assert not has_valid_check(text[:place] + other + one + text[place + 2 :])


@given(minted, st.data())
def test_what_was_meant_by_one_slip_is_among_the_suggestions(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(text.index("/") + 1, len(text) - 1))
    wrong = data.draw(betanumeric)
    assume(wrong != text[place])

    assert text in list_slips(text[:place] + wrong + text[place + 1 :])


def test_what_is_minted_checks_and_follows_nothing() -> None:
    names = {make_checked("99999", "fk4", 8) for _ in range(2000)}

    assert len(names) == 2000
    assert all(has_valid_check(name) and name.startswith("99999/fk4") and len(name) == 18 for name in names)
    assert {name[9] for name in names} == set(BETANUMERIC), "the first character after the shoulder is not random"
