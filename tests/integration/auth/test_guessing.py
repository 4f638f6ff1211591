"""Guessing passwords gets slower and slower, by account and by address, however it is tried."""

import asyncio

import pytest

PASSWORD = "correct horse battery"


async def guess(weft, password: str = "wrong", email: str = "ada@example.org"):
    return await weft.client.post("/auth/login", json={"username": email, "password": password})


@pytest.mark.contract("HC-S4", "HC-S34")
async def test_after_ten_failures_the_account_waits_longer_and_longer_and_is_let_in_again(weft) -> None:
    await weft.account()
    assert [(await guess(weft)).status_code for _ in range(10)] == [401] * 10
    answer = await guess(weft, PASSWORD)
    assert (answer.status_code, answer.json()["error"]) == (429, "RateLimitExceeded")
    assert answer.headers["retry-after"] == "1"
    waits = []
    for _ in range(12):
        weft.clock.advance(int((await guess(weft)).headers["retry-after"]))
        assert (await guess(weft)).status_code == 401
        waits.append(int((await guess(weft)).headers["retry-after"]))
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    weft.clock.advance(900)
    assert (await guess(weft, PASSWORD)).status_code == 200
    assert (await guess(weft)).status_code == 401
    assert (await guess(weft, PASSWORD)).status_code == 200


@pytest.mark.contract("HC-S4")
async def test_guesses_sent_all_at_once_are_counted_each(opened) -> None:
    async with opened(lock_after_account=5) as weft:
        await weft.account()
        answers = await asyncio.gather(*(guess(weft) for _ in range(30)))
        assert sorted({answer.status_code for answer in answers}) == [401, 429]
        assert sum(answer.status_code == 401 for answer in answers) == 5


async def test_strangers_who_fail_on_purpose_do_not_keep_the_owner_out(opened) -> None:
    async with opened(lock_after_account=5) as weft:
        await weft.account()
        assert (await guess(weft, PASSWORD)).status_code == 200
        home, elsewhere = ("192.0.2.7", 40000), ("198.51.100.9", 40000)
        weft.client._transport.client = elsewhere
        assert [(await guess(weft)).status_code for _ in range(6)] == [401] * 5 + [429]
        weft.client._transport.client = home
        assert (await guess(weft, PASSWORD)).status_code == 200
        assert [(await guess(weft)).status_code for _ in range(6)] == [401] * 5 + [429]
        weft.clock.advance(30 * 86400)
        assert (await guess(weft, PASSWORD)).status_code == 200
        weft.clock.advance(30 * 86400 + 1)
        weft.client._transport.client = elsewhere
        assert [(await guess(weft)).status_code for _ in range(6)] == [401] * 5 + [429]
        weft.client._transport.client = home
        assert (await guess(weft, PASSWORD)).status_code == 429  # too long ago to be familiar


async def test_an_unknown_account_is_locked_like_a_known_one(weft) -> None:
    await weft.account()
    known = [(await guess(weft)).status_code for _ in range(12)]
    unknown = [(await guess(weft, email="nobody@example.org")).status_code for _ in range(12)]
    assert known == unknown


async def test_one_address_that_tries_many_accounts_waits(opened) -> None:
    async with opened(lock_after_address=10) as weft:
        await weft.account()
        statuses = [(await guess(weft, email=f"n{number}@example.org")).status_code for number in range(12)]
        assert statuses[:10] == [401] * 10
        assert statuses[10] == 429


async def test_another_process_is_no_second_chance(opened) -> None:
    async with opened(lock_after_account=3) as here, opened(lock_after_account=3, clock=here.clock) as there:
        await here.account()
        statuses = [(await guess(weft)).status_code for weft in (here, there, here, there)]
        assert statuses == [401, 401, 401, 429]


async def test_one_success_does_not_wash_an_address_clean(opened) -> None:
    async with opened(lock_after_address=6) as weft:
        await weft.account()
        await weft.account("own@example.org")
        statuses = []
        for number in range(8):
            statuses.append((await guess(weft, email=f"n{number}@example.org")).status_code)
            await guess(weft, PASSWORD, "own@example.org")
        assert 429 in statuses


async def test_failures_are_forgiven_after_an_hour_and_by_a_new_password(weft) -> None:
    user = await weft.account()
    for _ in range(9):
        await guess(weft)
    weft.clock.advance(3601)
    assert [(await guess(weft)).status_code for _ in range(10)] == [401] * 10
    assert (await guess(weft, PASSWORD)).status_code == 429
    weft.client._transport.client = ("198.51.100.9", 40000)
    assert (await guess(weft, PASSWORD)).status_code == 429
    await weft.parts.accounts.set_password(user.id, "another good one")
    assert (await guess(weft, "another good one")).status_code == 200


async def test_guessing_names_no_password_in_the_log(weft, caplog: pytest.LogCaptureFixture) -> None:
    await weft.account()
    caplog.set_level("DEBUG")
    await guess(weft, "my real password with a typo")
    assert "login_failed" in caplog.text
    assert all("typo" not in str(record.__dict__) for record in caplog.records)


async def test_many_who_sign_in_at_once_are_all_answered_and_never_stand_in_each_others_way(opened) -> None:
    async with opened(lock_after_account=100, lock_after_address=1000) as weft:
        people = [f"person{number}@example.org" for number in range(6)]
        for email in people:
            await weft.account(email)
        for _ in range(3):
            tries = [(email, PASSWORD if number else "wrong") for number in range(4) for email in people]
            answers = await asyncio.gather(*(guess(weft, password, email) for email, password in tries))
            assert [answer.status_code for answer in answers] == [401] * 6 + [200] * 18
            weft.clock.advance(130 * 86400)  # so that the next ones also find something to sweep away
