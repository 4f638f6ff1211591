"""Passwords: slow on purpose, a few at a time, and the same work for everybody."""

import asyncio
import threading

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from weft.auth.password import Passwords
from weft.core.errors import Busy, Invalid

QUICK = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)


class Counting(Argon2Hasher):
    """Counts verifications, and can be held."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0
        self.started = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def verify(self, password, hash) -> bool:  # noqa: A002 - the library's own name
        self.verified += 1
        self.started.set()
        self.go.wait(30)
        return super().verify(password, hash)


@pytest.mark.contract("HC-S4")
async def test_the_hash_is_argon2id_as_strong_as_owasp_asks() -> None:
    hashed = await Passwords().hash("correct horse")
    assert hashed.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert await Passwords().verify("correct horse", hashed) == (True, None)
    assert await Passwords().verify("wrong", hashed) == (False, None)


async def test_a_weaker_hash_is_replaced_when_its_owner_signs_in() -> None:
    weak = await Passwords(hasher=QUICK).hash("correct horse")
    fits, better = await Passwords().verify("correct horse", weak)
    assert fits
    assert better is not None
    assert better.startswith("$argon2id$v=19$m=47104")


@pytest.mark.contract("HC-S4")
async def test_nobody_costs_as_much_work_as_somebody() -> None:
    hasher = Counting()
    passwords = Passwords(hasher=hasher)
    hashed = await passwords.hash("correct horse")
    for stored in [hashed, None, "!", "$2b$12$" + "x" * 53]:
        hasher.verified = 0
        assert (await passwords.verify("wrong", stored))[0] is False
        assert hasher.verified == 1


async def test_an_endless_password_costs_no_more_and_never_fits_its_beginning() -> None:
    passwords = Passwords(hasher=QUICK)
    hashed = await passwords.hash("x" * 1024)
    assert (await passwords.verify("x" * 1024, hashed))[0]
    assert not (await passwords.verify("x" * 5000, hashed))[0]


async def test_the_event_loop_goes_on_while_a_password_is_checked() -> None:
    hasher = Counting()
    passwords = Passwords(hasher=hasher)
    hashed = await passwords.hash("correct horse")
    hasher.go.clear()
    checking = asyncio.create_task(passwords.verify("correct horse", hashed))
    assert await asyncio.to_thread(hasher.started.wait, 30)
    assert not checking.done()
    hasher.go.set()
    assert (await checking)[0]


async def test_a_flood_of_sign_ins_is_turned_away_and_leaves_no_debt() -> None:
    hasher = Counting()
    passwords = Passwords(hasher=hasher)
    hashed = await passwords.hash("correct horse")
    hasher.go.clear()
    tasks = [asyncio.create_task(passwords.verify("correct horse", hashed)) for _ in range(200)]
    assert await asyncio.to_thread(hasher.started.wait, 30)
    assert sum(task.done() for task in tasks) >= 100
    for task in tasks[:10]:
        task.cancel()
    hasher.go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(result, Busy) for result in results) >= 100
    assert all(isinstance(result, Busy | asyncio.CancelledError | tuple) for result in results)
    assert (await passwords.verify("correct horse", hashed))[0]


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "0 characters"),
        ("seven77", "7 characters"),
        ("x" * 1025, "at most 1024"),
        ("Password123", "first anybody"),
        ("abababab", "first anybody"),
        ("Ada@Example.org", "e-mail"),
        ("ada.lovelace", None),
        ("correct horse", None),
        ("\N{SNOWMAN}\N{CAT FACE}\N{DOG FACE}\N{SNOWMAN}\N{CAT FACE}\N{DOG FACE}\N{SNOWMAN}\N{CAT FACE}", None),
    ],
)
def test_which_passwords_may_be_chosen(password: str, why: str | None) -> None:
    passwords = Passwords(hasher=QUICK)
    if why is None:
        passwords.check(password, email="ada@example.org")
    else:
        with pytest.raises(Invalid, match=why) as refused:
            passwords.check(password, email="ada@example.org")
        assert refused.value.field == "password"
