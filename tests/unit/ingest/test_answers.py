"""Answers that are put together by hand say what the encoder would have said."""

import json

import pytest

from weft.core.ids import IdRange, new_ids
from weft.ingest.accept import RetryKey
from weft.ingest.answers import id_list, one_body
from weft.ingest.frames import ack
from weft.ingest.gather import Stored


@pytest.mark.parametrize("first", [0, 1, 4090, 4095, 4096, 0x7FFF_FFFF_F000])
@pytest.mark.parametrize("count", [0, 1, 2, 500, 9000])
def test_a_range_of_ids_is_listed_as_it_is(first: int, count: int) -> None:
    ids = IdRange("0197a1b2-c3d4-7e5f-8a9b-", first, count)
    assert json.loads(b"[" + id_list(ids) + b"]") == list(ids)


def test_ids_of_clients_are_listed_as_they_are() -> None:
    ids = ['an "id"', "ü", "\\"]
    assert json.loads(b"[" + id_list(ids) + b"]") == ids
    assert json.loads(b"[" + id_list(list(new_ids(3, 1))) + b"]")


@pytest.mark.parametrize("event_id", ["plain-1", 'a "quoted" one', "back\\slash", "line\nfeed", "grün"])
def test_an_answer_to_one_event_is_json_whatever_its_id(event_id: str) -> None:
    body = json.loads(one_body(Stored(event_id, "events", 1, None, "fsync", True, "2026-05-28T20:26:40Z")))
    assert body["data"] == {
        "event_id": event_id,
        "topic": "events",
        "partition": 1,
        "offset": None,
        "durability": "fsync",
        "repeat": True,
    }
    assert body["timestamp"] == "2026-05-28T20:26:40Z"


def test_an_answer_says_by_how_many_replicas_an_event_is_held_where_that_is_known() -> None:
    stored = Stored("id", "events", 1, 7, "replicated", False, "2026-05-28T20:26:40Z", 3)
    assert json.loads(one_body(stored))["data"]["in_sync_replicas"] == 3
    assert ack(stored)["in_sync_replicas"] == 3
    assert "in_sync_replicas" not in ack(Stored("id", "events", 1, 7, "fsync", False, "2026-05-28T20:26:40Z"))


def test_a_retry_key_gives_each_place_one_id_for_ever() -> None:
    key = RetryKey("key-1", "order-17")
    assert key.id_at(0) == RetryKey("key-1", "order-17").id_at(0) == "6c2dec14-b0f0-827c-8e87-bdd7ad6f61ca"
    others = {key.id_at(1), RetryKey("key-2", "order-17").id_at(0), RetryKey("key-1", "order-18").id_at(0), key.id_at(0)}
    assert len(others) == 4
