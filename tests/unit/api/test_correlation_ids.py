"""The id that ties an answer to its log lines: taken from the client when it is plain, else made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.api.correlation import CorrelationIds


@pytest.mark.parametrize("given_id", [b"abc-123", b"req_1:2/3", b"x" * 128])
def test_a_plain_id_of_the_client_is_kept(given_id: bytes) -> None:
    assert CorrelationIds().accept(given_id) == given_id.decode()


@given(st.binary(max_size=200))
def test_whatever_is_given_the_id_is_short_and_safe_to_write_anywhere(given_id: bytes) -> None:
    accepted = CorrelationIds().accept(given_id)
    assert 0 < len(accepted) <= 128
    assert accepted.isascii()
    assert not set(accepted) & set('"\\\r\n \t<>{}')


def test_made_ids_are_different_in_and_between_processes() -> None:
    ids, others = CorrelationIds(), CorrelationIds()
    made = [ids.accept(None) for _ in range(1000)] + [others.accept(None) for _ in range(1000)]
    assert len(set(made)) == 2000
    assert {len(one) for one in made} == {32}
