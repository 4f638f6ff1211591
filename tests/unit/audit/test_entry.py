"""The bytes that are hashed are those that anybody makes who reads the description."""

import hashlib
import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from weft.audit.entry import ENTRY_FORMAT, GENESIS, Entry
from weft.auth.witness import Change, difference

# What UTF-8 cannot say never gets into a database.
texts = st.text(st.characters(exclude_categories=["Cs"]))
nullable = st.none() | texts


@given(
    st.builds(
        Entry,
        number=st.integers(1, 2**53),
        previous=st.just(GENESIS),
        at_us=st.integers(-(2**62), 2**62),
        actor_kind=texts,
        actor_id=nullable,
        actor_name=texts,
        address=nullable,
        action=texts,
        entity_type=texts,
        entity_id=nullable,
        changes=nullable,
    )
)
def test_the_hash_can_be_made_again_with_any_json_library(entry: Entry) -> None:
    fields = [ENTRY_FORMAT, *msgspec.structs.astuple(entry)[:-1]]
    plain = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(plain.encode()).hexdigest() == entry.digest()


def test_only_what_differs_is_a_change() -> None:
    assert difference({"a": 1, "b": 2}, {"b": 3, "c": None}) == {"a": Change(1, None), "b": Change(2, 3)}
