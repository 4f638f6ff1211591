"""Ids: a user's references must stay unique and sorted by time."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.core.ids import IdRange, milliseconds_of, new_id, new_ids

NOW_US = 1_780_000_000_123_456


@given(now_us=st.integers(0, 2**47 * 1000), count=st.integers(0, 300))
def test_generated_ids_are_valid_sorted_and_distinct_version_7_uuids(now_us: int, count: int) -> None:
    ids = list(new_ids(count, now_us))
    assert len(set(ids)) == count
    assert ids == sorted(ids)
    for text in ids:
        identifier = UUID(text)
        assert str(identifier) == text
        assert identifier.version == 7
        assert identifier.variant == "specified in RFC 4122"
        assert milliseconds_of(text) == now_us // 1000


def test_two_batches_of_one_moment_share_no_id() -> None:
    seen: set[str] = set()
    for _ in range(200):
        ids = set(new_ids(500, NOW_US))
        assert not ids & seen
        seen |= ids


def test_an_id_range_indexes_and_slices_like_the_list_of_its_ids() -> None:
    ids = new_ids(10, NOW_US)
    texts = list(ids)
    assert [ids[i] for i in range(10)] == texts
    assert ids[-1] == texts[-1]
    assert ids[2:5] == texts[2:5]
    assert list(IdRange(ids.prefix, ids.first, len(ids))) == texts
    with pytest.raises(IndexError):
        ids[10]


def test_the_millisecond_of_a_foreign_id_is_unknown() -> None:
    assert milliseconds_of("order-17") is None
    assert milliseconds_of("550e8400-e29b-41d4-a716-446655440000") is None
    assert milliseconds_of(new_id(NOW_US)) == NOW_US // 1000
