"""Killed at any moment, whoever delivers next goes on: nothing is lost, and what is said twice carries the same key."""

import asyncio
import random
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.integration.notify.conftest import Office, notification
from tests.services.sinks import HttpSink, listening
from weft.alerts.notify.deliverer import LEASE, Deliverer
from weft.alerts.notify.directory import ChannelPlan
from weft.alerts.notify.history import Wanted, list_told
from weft.alerts.notify.notification import Intent
from weft.alerts.notify.outbox import add
from weft.alerts.notify.parts import NotifyParts
from weft.alerts.notify.settings import NotifySettings
from weft.auth.secrets import Cipher
from weft.core.clock import SystemClock
from weft.core.errors import Conflict
from weft.db.database import Database
from weft.db.lease import Lease
from weft.testing.factories import make_batch, make_row

PROGRAM = Path(__file__).with_name("deliver_program.py")


def successor(office: Office) -> Deliverer:
    """Another process's deliverer, which knows nothing but what was written down."""
    parts = office.parts
    lease = Lease(office.database, LEASE, clock=office.clock)
    return Deliverer(
        office.database, office.log, directory=parts.directory, settings=parts.settings, clock=office.clock, lease=lease
    )


async def test_what_was_sent_but_not_marked_is_sent_again_under_the_same_key(office: Office) -> None:
    await office.channel()
    office.sink.silent = True
    await office.intend(notification())
    first = office.parts.deliverer
    settling = asyncio.create_task(first.settle())
    await office.sink.arrived.wait()
    lanes = list(first._working.values())
    for task in (settling, *lanes):
        task.cancel()
    await asyncio.gather(settling, *lanes, return_exceptions=True)
    office.sink.silent = False
    await first._lease.release()

    await successor(office).settle()

    assert len(office.sink.keys) == 2
    assert len(set(office.sink.keys)) == 1
    assert await office.states() == ["delivered"]


async def test_who_was_overtaken_sends_nothing_more(office: Office) -> None:
    await office.channel()
    sleeper = office.parts.deliverer
    await sleeper.settle()
    held = sleeper._lease.epoch
    await sleeper._lease.release()
    await successor(office).settle()
    sleeper._lease._epoch = held  # it slept, and believes that it is still its turn
    await office.intend(notification())

    with pytest.raises(Conflict, match="taken over"):
        await sleeper.settle()

    assert office.sink.taken == []


async def test_who_intends_in_the_same_process_wakes_the_deliverer_without_the_log(office: Office) -> None:
    await office.channel()
    running = asyncio.create_task(office.parts.deliverer.run(lambda: None))
    try:
        await _tell_first(office)

        await office.intend(notification(2))
        office.parts.deliverer.wake()

        async with asyncio.timeout(3):  # without being woken it would look only after five seconds
            await office.sink.arrived.wait()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_an_alert_in_the_log_wakes_the_deliverer(office: Office) -> None:
    await office.channel()
    running = asyncio.create_task(office.parts.deliverer.run(lambda: None))
    try:
        await _tell_first(office)

        await office.intend(notification(2))
        await office.log.append(make_batch([make_row(type="weft.alert.firing", source="weft/rules/1")], topic="alerts"))

        async with asyncio.timeout(3):  # without being woken it would look only after five seconds
            await office.sink.arrived.wait()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _tell_first(office: Office) -> None:
    """Something is delivered and written down; what is intended next needs a new reason to look."""
    await office.intend(notification(1))
    async with asyncio.timeout(20):
        while len(await office.events()) < 1:
            office.parts.deliverer.wake()
            await asyncio.sleep(0.02)
    office.sink.arrived.clear()


@pytest.mark.parametrize("rounds", [2, pytest.param(100, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
async def test_killed_again_and_again_it_loses_nothing(rounds: int, tmp_path: Path, schema: Path) -> None:
    shutil.copy(schema, tmp_path / "weft.db")
    url, key, chance = f"sqlite:///{tmp_path / 'weft.db'}", Fernet.generate_key(), random.Random(7)
    database, clock, sink = Database(url), SystemClock(), HttpSink(lag_s=0.03)
    async with listening(sink):
        parts = NotifyParts.of(
            database,
            None,  # pyright: ignore[reportArgumentType] - this process only intends; the log belongs to the one that delivers
            cipher=Cipher([key]),
            settings=NotifySettings(),
            environment="development",
            clock=clock,
        )
        await parts.directory.create(ChannelPlan(name="hook", kind="webhook", settings={"url": sink.url}))
        intended: list[tuple[str, int]] = []
        for round_ in range(rounds + 1):
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(PROGRAM), url, f"sqlite://{tmp_path / 'log'}", key.decode(), stdout=asyncio.subprocess.PIPE
            )
            assert process.stdout is not None
            assert await process.stdout.readline() == b"started\n"
            for step in range(3):
                told = [notification(number, round_ * 3 + step) for number in range(3)]
                async with database.writing() as session:
                    await add(session, [Intent(notification=one, channels=("hook",)) for one in told], now_us=clock.now_us())
                intended += [(one.fingerprint, one.transition) for one in told]
                await asyncio.sleep(chance.uniform(0, 0.1))
            if round_ == rounds:
                await _wait_until_all_are_told(database, len(intended))
            process.send_signal(signal.SIGKILL)
            await process.communicate()
    await database.close()

    bodies: dict[str, bytes] = {}
    told = []
    for taken in sink.taken:
        if bodies.setdefault(taken.headers["idempotency-key"], taken.body) is taken.body:
            told += [(one["fingerprint"], one["transition"]) for one in taken.json["notifications"]]
        assert bodies[taken.headers["idempotency-key"]] == taken.body, "the same key said two things"
    assert sorted(told) == sorted(intended), "a notification was lost, or told twice under two keys"
    for alert in {fingerprint for fingerprint, _ in intended}:
        order = [transition for fingerprint, transition in told if fingerprint == alert]
        assert order == sorted(order), f"{alert} was told out of order"


async def _wait_until_all_are_told(database: Database, number: int) -> None:
    async with asyncio.timeout(60):
        while True:
            async with database.reading() as session:
                _, total = await list_told(session, Wanted(state="delivered"), skip=0, limit=1)
            if total == number:
                return
            await asyncio.sleep(0.1)
