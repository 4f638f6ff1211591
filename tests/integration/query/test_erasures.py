"""Erasing: gone from every answer and from the files, and a record stays that brings nothing back."""

import hashlib
from pathlib import Path
from typing import Any

from weft.core import times
from weft.core.times import SECOND_US
from weft.testing.factories import NOON_US, make_row


def files_with(text: bytes, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


async def erase(lab: Any, **conditions: Any) -> Any:
    answer = await lab.admin.post("/api/v1/erasures", json=conditions)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_was_erased_is_found_nowhere_any_more(lab: Any, tmp_path: Path) -> None:
    secret = "0f7c7c0a-secret-word"
    rows = [make_row(n, user_id="ada" if n % 2 else "bob", data={"text": secret if n % 2 else "plain"}) for n in range(10)]
    ids = await lab.take(rows)
    await lab.store.flush()
    assert files_with(b"bob", tmp_path), "this test could not see anything"

    erased = await erase(lab, user_id="ada")

    assert (erased["log_events"], erased["store_events"]) == (5, 5)
    await lab.refused(f"/events/{ids[1]}", 404)
    assert (await lab.get("/events"))["pagination"]["total"] == 5
    raw = await lab.get("/api/v1/topics/events/events")
    assert [event["user_id"] for event in raw["data"]] == ["bob"] * 5
    assert files_with(secret.encode(), tmp_path) == []


async def test_every_condition_has_to_hold_and_the_end_is_not_erased(lab: Any) -> None:
    rows = [make_row(n, source="a" if n < 6 else "b", subject="s") for n in range(8)]
    await lab.take(rows, times_us=[NOON_US + n * SECOND_US for n in range(8)])

    erased = await erase(
        lab,
        source="a",
        subject="s",
        start=times.to_text(NOON_US + 2 * SECOND_US),
        end=times.to_text(NOON_US + 4 * SECOND_US),
    )

    assert erased["store_events"] == 2
    left = await lab.get("/events", order="asc")
    assert [event["data"]["number"] for event in left["data"]] == [0, 1, 4, 5, 6, 7]


async def test_a_record_says_what_was_erased_and_by_whom_but_not_whose(lab: Any) -> None:
    await lab.take([make_row(user_id="ada.lovelace@example.org", source="phone")])

    erased = await erase(lab, user_id="ada.lovelace@example.org", source="phone")

    raw = await lab.client.get("/api/v1/topics/weft.erasures/events")
    (record,) = raw.json()["data"]
    assert record["id"] == erased["record_id"]
    assert record["type"] == "weft.erasure"
    assert record["data"]["store_events"] == 1
    assert record["data"]["by"]["kind"] == "api_key"
    digest = hashlib.sha256(b"ada.lovelace@example.org").hexdigest()
    assert record["data"]["conditions"]["user_id_sha256"] == digest
    assert "ada.lovelace" not in raw.text


async def test_what_the_store_has_not_read_yet_is_not_erased_behind_its_back(open_lab: Any) -> None:
    async with open_lab(erase_timeout_s=0.1) as lab:
        await lab.append([make_row(user_id="ada")])

        answer = await lab.admin.post("/api/v1/erasures", json={"user_id": "ada"})

        assert (answer.status_code, answer.json()["error"]) == (503, "ServiceUnavailable")
        assert len((await lab.get("/api/v1/topics/events/events"))["data"]) == 1, "half an erasure is none"


async def test_the_books_balance_after_an_erasure(lab: Any) -> None:
    await lab.take([make_row(n, user_id="ada" if n < 4 else None) for n in range(10)])
    await erase(lab, user_id="ada")
    await lab.catch_up()

    body = await lab.get("/api/v1/conservation")

    assert {topic["topic"]: topic["difference"] for topic in body["topics"]} == {"events": 0, "weft.erasures": 0}


async def test_an_erasure_that_would_take_everything_or_nothing_is_refused(lab: Any) -> None:
    await lab.take(3)
    wrong: list[tuple[dict[str, Any], int]] = [
        ({}, 422),
        ({"user_id": ""}, 422),
        ({"user": "ada"}, 422),
        ({"start": "2026-02-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}, 400),
        ({"start": "yesterday"}, 422),
    ]
    for body, status in wrong:
        answer = await lab.admin.post("/api/v1/erasures", json=body)
        assert answer.status_code == status, (body, answer.text)
    assert (await lab.client.post("/api/v1/erasures", json={"user_id": "ada"})).status_code == 403
    assert (await lab.stranger.post("/api/v1/erasures", json={"user_id": "ada"})).status_code == 401
    assert (await lab.get("/events"))["pagination"]["total"] == 3
