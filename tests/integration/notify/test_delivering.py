"""What was intended is told: through every channel that is meant, once, in order, however the other side behaves."""

import asyncio
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from tests.integration.notify.conftest import Office, OpenOffice, notification
from tests.services.sinks import Answer
from weft.alerts.notify.notification import Intent
from weft.alerts.notify.outbox import add
from weft.core.clock import SystemClock
from weft.core.errors import TooLarge, Unavailable
from weft.core.times import SECOND_US
from weft.core.verdict import Level


def told_in(office: Office) -> list[tuple[str, int]]:
    """Alert and transition of each notification the sink took, in order; a repeat of a message counts once."""
    seen: dict[str, list[tuple[str, int]]] = {}
    for taken in office.sink.taken:
        seen[taken.json["key"]] = [(told["fingerprint"], told["transition"]) for told in taken.json["notifications"]]
    return [told for message in seen.values() for told in message]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_an_intent_is_delivered_at_once_and_written_down(kind: str, open_office: OpenOffice) -> None:
    async with open_office(kind=kind) as office:
        await office.channel()

        await office.tell(notification())

        assert told_in(office) == [("alert-1", 1)]
        (told,) = await office.told()
        assert told.state == "delivered"
        assert [(attempt.number, attempt.outcome, attempt.said) for attempt in told.attempts] == [
            (1, "delivered", "200 Said: ok")
        ]
        ((type_, data),) = await office.events()
        assert type_ == "weft.notification.delivered"
        assert (data["channel"], data["kind"], data["notifications"][0]["fingerprint"]) == ("hook", "webhook", "alert-1")
        assert data["key"] == office.sink.keys[0] == told.message.key


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_writing_the_same_intent_again_tells_nobody_again(kind: str, open_office: OpenOffice) -> None:
    async with open_office(kind=kind) as office:
        await office.channel()
        await office.tell(notification())
        await office.pass_time(60)

        await office.tell(notification())
        await office.pass_time(60)

        assert len(office.sink.taken) == 1


async def test_an_intent_whose_transaction_fails_was_never_there(office: Office) -> None:
    await office.channel()

    async def fail() -> None:
        async with office.database.writing() as session:
            await add(session, [Intent(notification=notification(), channels=("hook",))], now_us=office.clock.now_us())
            raise Unavailable("the power went")

    with pytest.raises(Unavailable, match="the power went"):
        await fail()

    await office.parts.deliverer.settle()

    assert office.sink.taken == []
    assert await office.told() == []


async def test_a_notification_too_large_to_send_is_refused_where_it_is_made(office: Office) -> None:
    with pytest.raises(TooLarge, match="Freezer warm"):
        await office.intend(notification(labels={"x": "y" * 70_000}))


async def test_a_rule_means_channels_by_kind_and_by_name_and_each_is_told_once(office: Office) -> None:
    await office.channel("first")
    await office.channel("second")
    await office.channel("off", enabled=False)
    await office.channel("chat", kind="slack", settings={"url": f"{office.sink.url}/slack"})

    await office.tell(notification(), channels=("webhook", "second", "chat"))

    told = await office.told()
    assert sorted(one.delivery.channel_name for one in told if one.delivery) == ["chat", "first", "second"]
    assert len(office.sink.taken) == 3
    assert len(set(office.sink.keys)) == 3, "each channel has a key of its own"


async def test_a_rule_that_names_no_channel_there_is_heard_of(office: Office) -> None:
    await office.tell(notification(), channels=("sms", "ops"))

    assert await office.states() == ["no_channel", "no_channel"]
    events = sorted((type_, data["channel"], data["given_up"]) for type_, data in await office.events())
    assert events == [("weft.notification.refused", "ops", True), ("weft.notification.refused", "sms", True)]
    finding = await office.parts.own_checks()["notify.channels"]()
    assert finding.level is Level.ACT
    assert "kind 'sms'" in finding.why
    assert "'ops'" in finding.why


async def test_the_finding_goes_when_the_channel_comes(office: Office) -> None:
    await office.tell(notification(), channels=("ops",))
    await office.channel("ops")

    finding = await office.parts.own_checks()["notify.channels"]()

    assert finding.level is Level.FINE
    assert office.sink.taken == [], "what reached nobody is not told later, when it may no longer be true"


async def test_a_refusal_is_not_tried_again_and_is_told(office: Office) -> None:
    await office.channel()
    office.sink.usual = Answer(404, b"no such hook")

    await office.tell(notification())
    await office.pass_time(3600)

    assert len(office.sink.taken) == 1
    assert await office.states() == ["refused"]
    assert [type_ for type_, _ in await office.events()] == ["weft.notification.refused"]
    finding = await office.parts.own_checks()["notify.delivery"]()
    assert finding.level is Level.ACT
    assert "no such hook" in finding.why


async def test_an_outage_is_waited_for_ever_longer_and_under_the_same_key(office: Office) -> None:
    await office.channel()
    office.sink.usual = Answer(503, b"maintenance")
    await office.tell(notification())
    tries: list[float] = [0.0]
    for second in range(1, 70):
        await office.pass_time(1)
        if len(office.sink.taken) > len(tries):
            tries.append(second)

    office.sink.usual = Answer()
    await office.pass_time(120)

    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert 4 <= len(tries) <= 9, f"tried at {tries}"
    assert gaps[-1] > gaps[0]
    assert len(set(office.sink.keys)) == 1
    assert await office.states() == ["delivered"]
    types = [type_ for type_, _ in await office.events()]
    assert types == ["weft.notification.delayed"] * len(tries) + ["weft.notification.delivered"]


async def test_the_other_sides_wish_to_be_left_alone_is_kept(office: Office) -> None:
    await office.channel()
    office.sink.answers.append(Answer(429, b"", {"Retry-After": "120"}))
    await office.tell(notification())

    await office.pass_time(119)
    assert len(office.sink.taken) == 1
    await office.pass_time(2)

    assert await office.states() == ["delivered"]


async def test_what_cannot_be_delivered_for_too_long_is_given_up_and_told(open_office: OpenOffice) -> None:
    async with open_office(give_up_after_s=600) as office:
        await office.channel()
        await office.sink.stop()
        await office.tell(notification())
        for _ in range(8):
            await office.pass_time(120)

        assert await office.states() == ["dead"]
        type_, data = (await office.events())[-1]
        assert (type_, data["given_up"]) == ("weft.notification.refused", True)
        assert (await office.parts.own_checks()["notify.delivery"]()).level is Level.ACT


async def test_a_sink_that_was_away_gets_everything_once_it_is_back_in_order(office: Office) -> None:
    await office.channel()
    await office.sink.stop()
    for step in range(12):
        state = "firing" if step % 2 == 0 else "resolved"
        await office.intend(*(notification(number, step, state) for number in range(5)))
        await office.pass_time(10)
    finding = await office.parts.own_checks()["notify.delivery"]()
    assert finding.level is Level.FINE, "two minutes are no reason to call somebody"

    await office.sink.start()
    for _ in range(12):
        await office.pass_time(10)

    told = told_in(office)
    assert len(told) == len(set(told)) == 60
    for number in range(5):
        assert [transition for alert, transition in told if alert == f"alert-{number}"] == list(range(12))
    assert set(await office.states()) == {"delivered"}


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_a_sink_that_was_away_for_two_real_minutes_gets_everything_once_it_is_back(open_office: OpenOffice) -> None:
    async with open_office(clock=SystemClock()) as office:
        await office.channel()
        await office.sink.stop()
        running = asyncio.create_task(office.parts.deliverer.run(lambda: None))
        try:
            for step in range(24):
                state = "firing" if step % 2 == 0 else "resolved"
                await office.intend(*(notification(number, step, state) for number in range(5)))
                await asyncio.sleep(5)
            await office.sink.start()
            async with asyncio.timeout(90):
                while len(told_in(office)) < 120:  # noqa: ASYNC110 - the sink says that something arrived, not how much
                    await asyncio.sleep(0.5)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

        told = told_in(office)
        assert len(told) == len(set(told)) == 120
        for number in range(5):
            assert [transition for alert, transition in told if alert == f"alert-{number}"] == list(range(24))


async def test_one_channel_that_is_away_keeps_no_other_waiting(office: Office) -> None:
    await office.channel("silent", settings={"url": f"{office.sink.url}/silent"})
    await office.channel(
        "mail",
        kind="email",
        settings={
            "host": "127.0.0.1",
            "port": office.mail.port,
            "security": "none",
            "sender": "weft@lab.example",
            "to": ["ada@lab.example"],
        },
    )
    office.sink.silent = True
    await office.intend(notification(), channels=("silent", "mail"))

    settling = asyncio.create_task(office.parts.deliverer.settle())
    await office.sink.arrived.wait()
    async with asyncio.timeout(1.5):
        await office.mail.arrived.wait()

    assert not settling.done(), "the silent channel is still being waited for"
    await settling
    assert sorted(await office.states()) == ["delivered", "sending"]


async def test_one_message_that_is_never_taken_keeps_no_other_from_leaving(office: Office) -> None:
    await office.channel()
    office.sink.answers.append(Answer(500, b"I cannot read this one"))
    await office.tell(notification(1))
    for number in range(2, 8):
        await office.tell(notification(number))
        await office.pass_time(2)

    assert set(await office.states()) == {"delivered"}


async def test_what_comes_close_together_in_a_group_goes_out_together(office: Office) -> None:
    await office.channel()
    await office.tell(notification(1, group_key="freezers"))
    for number in range(2, 6):
        await office.pass_time(1)
        await office.tell(notification(number, group_key="freezers"))
    assert len(office.sink.taken) == 1, "the first goes at once, the others wait for the interval"

    await office.pass_time(6)

    assert [len(taken.json["notifications"]) for taken in office.sink.taken] == [1, 4]
    assert len({told.message.key for told in await office.told() if told.message}) == 2


async def test_a_group_may_wait_for_its_first_members(open_office: OpenOffice) -> None:
    async with open_office(group_wait_s=30) as office:
        await office.channel()
        await office.tell(notification(1, group_key="freezers"))
        await office.pass_time(20)
        await office.tell(notification(2, group_key="freezers"))
        assert office.sink.taken == []

        await office.pass_time(10)

        assert told_in(office) == [("alert-1", 1), ("alert-2", 1)]


async def test_a_rule_says_how_its_own_groups_are_spaced(office: Office) -> None:
    await office.channel()
    spaced: dict[str, Any] = {"group_key": "rule-7", "group_wait_us": 5 * SECOND_US, "group_interval_us": 60 * SECOND_US}
    await office.tell(notification(1, **spaced))
    assert office.sink.taken == []
    await office.pass_time(5)
    await office.tell(notification(2, **spaced))
    await office.pass_time(59)
    assert told_in(office) == [("alert-1", 1)]

    await office.pass_time(1)

    assert told_in(office) == [("alert-1", 1), ("alert-2", 1)]


async def test_more_than_a_channel_may_send_becomes_one_digest_and_nothing_is_lost(office: Office) -> None:
    await office.channel(messages_per_minute=2)
    for number in range(20):
        await office.tell(notification(number))
    assert len(office.sink.taken) == 2

    for _ in range(14):
        await office.pass_time(5)

    assert [len(taken.json["notifications"]) for taken in office.sink.taken] == [1, 1, 18]
    assert len(set(told_in(office))) == 20


async def test_a_reminder_that_comes_too_soon_is_left_out_and_nothing_else_is(office: Office) -> None:
    await office.channel()
    await office.tell(notification())
    await office.pass_time(20)
    await office.tell(notification(occasion="reminder"))
    await office.tell(notification(occasion="escalated"))
    await office.pass_time(20)
    await office.tell(notification(transition=2, state="resolved"))
    await office.pass_time(90)
    await office.tell(notification(transition=3))
    await office.pass_time(61)
    await office.tell(notification(transition=3, occasion="reminder"))

    became = {(one.notification.transition, one.notification.occasion): one.state for one in await office.told()}
    assert {said for said, state in became.items() if state == "left_out"} == {(1, "reminder")}
    assert {state for said, state in became.items() if said != (1, "reminder")} == {"delivered"}


async def test_what_waits_for_a_channel_that_was_removed_is_refused(office: Office) -> None:
    await office.channel()
    await office.sink.stop()
    await office.tell(notification())
    await office.parts.directory.remove("hook")

    await office.pass_time(10)

    assert await office.states() == ["refused"]


async def test_the_log_away_keeps_nobody_from_being_told(office: Office) -> None:
    class Away:
        async def append(self, _: Any) -> None:
            raise Unavailable("no log")

    await office.channel()
    announcer = office.parts.deliverer._announcer
    real, announcer._log = announcer._log, Away()
    with pytest.raises(Unavailable):
        await office.tell(notification())
    announcer._log = real
    await office.parts.deliverer.settle()

    assert len(office.sink.taken) == 1
    assert [type_ for type_, _ in await office.events()] == ["weft.notification.delivered"]


async def test_old_deliveries_are_forgotten_but_not_what_still_waits(open_office: OpenOffice) -> None:
    async with open_office(keep_days=1, give_up_after_s=30 * 86_400, longest_retry_s=3600) as office:
        await office.channel()
        await office.tell(notification(1))
        await office.sink.stop()
        await office.tell(notification(2))
        for _ in range(7):
            await office.pass_time(4 * 3600)

        assert [(one.notification.fingerprint, one.state) for one in await office.told()] == [("alert-2", "sending")]
