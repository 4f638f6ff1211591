"""From results to alerts: what stands in the database, in the outbox and in the log after it."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from tests.integration.alerts.conftest import Court
from weft.alerts.alert_state import AlertState
from weft.alerts.handle import Alerts
from weft.alerts.inbox import Inbox
from weft.alerts.record import read_state
from weft.alerts.rule import read_definition
from weft.alerts.silence import Matcher, Silences
from weft.alerts.tables import AnnouncementRow, JudgedRow, StateRow
from weft.alerts.tenure import GROUP
from weft.core.errors import Conflict, Unavailable
from weft.core.times import MINUTE_US
from weft.core.verdict import Finding, Level
from weft.testing.factories import NOON_US

BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


def hands(court: Court) -> Alerts:
    return Alerts(court.database, court.clock, changed=court.judge.wake)


async def state_of(court: Court) -> AlertState:
    async with court.database.reading() as session:
        row = await session.scalar(select(StateRow))
    assert row is not None
    return read_state(row)


@BOTH
@pytest.mark.contract("SF-136", "SF-287")
async def test_a_rule_fires_once_and_resolves_and_both_are_told_once(court: Court) -> None:
    rule = await court.rule(level="critical")
    for minute, count in enumerate([3, 9, 12, 2], start=1):
        await court.say(rule, minute, count)
    assert [(told.state, told.level, told.values) for told in await court.told()] == [
        ("firing", "critical", {"count": 9}),
        ("resolved", "critical", {"count": 2}),
    ]
    assert await court.changes() == ["firing", "resolved"]
    (alert,) = await court.alerts()
    assert (alert.status, alert.level, alert.ended_by) == ("resolved", "critical", "weft")
    assert court.bench.counts.transitions["firing"] == 1


async def test_what_is_fine_leaves_nothing_behind_but_how_far_it_was_judged(court: Court) -> None:
    rule = await court.rule(group_by=["source"])
    for minute in range(1, 4):
        for source in ("a", "b"):
            await court.say(rule, minute, 1, source=source)
    async with court.database.reading() as session:
        assert (await session.scalars(select(StateRow))).all() == []
        assert [row.position for row in await session.scalars(select(JudgedRow))] == [6]


async def test_who_delivers_is_woken_once_a_notification_is_there_and_by_nothing_else(court: Court) -> None:
    rule = await court.rule()
    await court.say(rule, 1, 3)
    assert court.intended == []
    for minute, count in enumerate([9, 12, 2], start=2):
        await court.say(rule, minute, count)
    assert await asyncio.gather(*court.intended) == [1, 2], "woken before the commit it finds nothing, and waits for the log"


async def test_a_result_does_not_wait_until_a_look_is_over(court: Court) -> None:
    rule = await court.rule()
    came = asyncio.Event()
    async with Inbox(court.log, GROUP, court.tenure.rules.topics, dict(court.tenure.positions), came) as inbox:
        await court.result(rule, 1, {"count": 9})
        await came.wait()
        await court.judge.look(court.tenure, inbox)
    assert [told.state for told in await court.told()] == ["firing"]
    assert await court.changes() == ["firing"]


async def test_a_notification_says_how_its_group_is_spaced(court: Court) -> None:
    rule = await court.rule(group_wait="30s", group_interval="5m")
    await court.say(rule, 1, 9)
    (told,) = await court.told()
    assert (told.group_key, told.group_wait_us, told.group_interval_us) == (rule.id, 30_000_000, 5 * MINUTE_US)


async def test_each_value_of_group_by_has_an_alert_of_its_own(court: Court) -> None:
    rule = await court.rule(group_by=["source"])
    for source, count in (("a", 9), ("b", 1), ("c", 7)):
        await court.say(rule, 1, count, source=source)
    assert sorted(told.labels["source"] for told in await court.told()) == ["a", "c"]
    assert len({alert.fingerprint for alert in await court.alerts()}) == 2


async def test_a_condition_has_to_hold_in_event_time_however_fast_the_results_come(court: Court) -> None:
    rule = await court.rule(**{"for": "2m"})
    for minute in (1, 2):
        await court.say(rule, minute, 9)
    assert await court.changes() == ["pending"]
    await court.say(rule, 3, 9)
    assert await court.changes() == ["pending", "firing"]


async def test_a_hole_between_two_windows_begins_the_time_anew(court: Court) -> None:
    rule = await court.rule(**{"for": "2m"})
    for minute in (1, 2, 4, 5):
        await court.say(rule, minute, 9)
    assert await court.changes() == ["pending"]
    await court.say(rule, 6, 9)
    assert await court.changes() == ["pending", "firing"]


async def test_several_thresholds_are_one_alert_that_changes_its_level(court: Court) -> None:
    rule = await court.rule(condition="count", levels={"warning": 5, "critical": 50})
    for minute, count in enumerate([6, 60, 7, 1], start=1):
        await court.say(rule, minute, count)
    assert [(told.state, told.level) for told in await court.told()] == [
        ("firing", "warning"),
        ("firing", "critical"),
        ("resolved", "warning"),
    ]
    assert await court.changes() == ["firing", "level", "level", "resolved"]
    assert len(await court.alerts()) == 1


@pytest.mark.contract("SF-146", "SF-131")
async def test_one_notification_in_a_suppression_period_however_often_it_is_true(court: Court) -> None:
    rule = await court.rule(suppression_minutes=10)
    for step in range(1, 6):
        await court.pass_time(5)
        await court.say(rule, step, 9)
    at = [round((told.at_us - NOON_US) / MINUTE_US) for told in await court.told()]
    assert at == [5, 15, 25]


async def test_firing_again_within_the_period_is_told_at_its_end_if_it_goes_on(court: Court) -> None:
    rule = await court.rule(suppression_minutes=10)
    for minute, count in enumerate([9, 1, 9, 9], start=1):
        await court.say(rule, minute, count)
    assert [told.state for told in await court.told()] == ["firing", "resolved"]
    await court.pass_time(10)
    assert [told.state for told in await court.told()] == ["firing", "resolved", "firing"]


@pytest.mark.contract("SF-147", "SF-132")
async def test_nobody_acknowledged_so_it_escalates_and_somebody_did_so_it_does_not(court: Court) -> None:
    rule = await court.rule(escalation_minutes=15, suppression_minutes=60, group_by=["source"])
    for source in ("a", "b"):
        await court.say(rule, 1, 9, source=source)
    taken = next(alert for alert in await court.alerts() if '"b"' in alert.key)
    await hands(court).acknowledge(taken.id, by="ada", comment="on it")
    await court.pass_time(16)
    told = [(one.labels["source"], one.level, one.occasion) for one in await court.told()]
    assert sorted(told) == [("a", "error", "escalated"), ("a", "warning", ""), ("b", "warning", "")]


async def test_escalation_steps_name_levels_and_channels(court: Court) -> None:
    steps = [{"after": "5m", "channels": ["sms"]}, {"after": "10m", "level": "critical", "channels": ["boss"]}]
    rule = await court.rule(escalation=steps, suppression_minutes=60)
    await court.say(rule, 1, 9)
    for _ in range(3):
        await court.pass_time(5)
    assert [(one.level, one.occasion) for one in await court.told()] == [
        ("warning", ""),
        ("error", "escalated"),
        ("critical", "escalated"),
    ]


async def test_an_acknowledgement_ends_when_it_said(court: Court) -> None:
    rule = await court.rule(suppression_minutes=10)
    await court.say(rule, 1, 9)
    (alert,) = await court.alerts()
    await hands(court).acknowledge(alert.id, by="ada", until_us=court.clock.now_us() + 30 * MINUTE_US)
    await court.pass_time(29)
    assert len(await court.told()) == 1
    await court.pass_time(2)
    assert [one.occasion for one in await court.told()] == ["", "reminder"]
    assert await court.changes() == ["firing", "acknowledged", "unacknowledged", "reminded"]


async def test_what_is_over_cannot_be_acknowledged(court: Court) -> None:
    rule = await court.rule()
    await court.say(rule, 1, 9)
    (alert,) = await court.alerts()
    await hands(court).resolve(alert.id, by="ada", comment="replaced the pump")
    with pytest.raises(Conflict, match="is over"):
        await hands(court).acknowledge(alert.id, by="ada")
    assert [(done.change, done.by, done.reason) for done in await hands(court).history(alert.id)] == [
        ("firing", "weft", None),
        ("resolved", "ada", "replaced the pump"),
    ]
    await court.say(rule, 2, 9)
    assert [one.status for one in await court.alerts()] == ["resolved", "firing"]


async def test_a_silence_keeps_quiet_and_what_goes_on_afterwards_is_told(court: Court) -> None:
    rule = await court.rule(group_by=["source"])
    silences = Silences(court.database, court.clock)
    matcher = Matcher(name="source", value="a")
    await silences.create([matcher], starts_at_us=None, ends_at_us=court.clock.now_us() + 5 * MINUTE_US, comment=None, by="ada")
    for source in ("a", "b"):
        await court.say(rule, 1, 9, source=source)
    assert [one.labels["source"] for one in await court.told()] == ["b"]
    await court.pass_time(6)
    assert [one.labels["source"] for one in await court.told()] == ["b", "a"]
    assert (await court.changes()).count("unsilenced") == 1


async def test_a_rule_that_fires_keeps_those_it_inhibits_quiet_for_the_same_values(court: Court) -> None:
    down = await court.rule(name="down", group_by=["source"])
    slow = await court.rule(name="slow", group_by=["source"], inhibited_by=["down"])
    await court.say(down, 1, 9, source="a")
    for source in ("a", "b"):
        await court.say(slow, 1, 9, source=source)
    assert [(one.rule_name, one.labels["source"]) for one in await court.told()] == [("down", "a"), ("slow", "b")]
    await court.say(down, 2, 1, source="a")
    await court.say(slow, 2, 9, source="a")
    assert ("slow", "a") in [(one.rule_name, one.labels["source"]) for one in await court.told()]


async def test_late_events_that_change_the_verdict_are_told_as_an_amendment(court: Court) -> None:
    rule = await court.rule(lateness="5m")
    for minute, count in enumerate([9, 1], start=1):
        await court.say(rule, minute, count)
    await court.say(rule, 1, 3)
    assert [(one.state, one.occasion) for one in await court.told()] == [("firing", ""), ("resolved", "")]
    await court.say(rule, 2, 8)
    assert [(one.state, one.occasion) for one in await court.told()][-1] == ("firing", "amended")
    await court.say(rule, 3, 1)
    await court.say(rule, 3, 1)
    assert (await court.alerts())[-1].revision >= 1


async def test_an_alert_that_late_events_show_to_have_been_is_told_though_it_is_over(court: Court) -> None:
    rule = await court.rule(lateness="5m")
    for minute in (1, 2, 3):
        await court.say(rule, minute, 1)
    await court.say(rule, 2, 9)
    told = await court.told()
    assert [(one.state, one.occasion) for one in told] == [("resolved", "amended")]
    assert await court.changes() == ["firing", "resolved"]


async def test_the_same_result_twice_changes_nothing(court: Court) -> None:
    rule = await court.rule()
    await court.say(rule, 1, 9)
    court.revisions.clear()
    before = await state_of(court)
    await court.say(rule, 1, 9)
    assert await state_of(court) == before
    assert len(await court.told()) == 1


async def test_an_alert_whose_events_stop_resolves_once_the_empty_windows_are_over(court: Court) -> None:
    """`count > 5` is false where nothing comes; nobody has to send a zero."""
    rule = await court.rule()
    await court.say(rule, 1, 9)
    await court.computed_until(rule, 2)
    await court.pass_time(0.1)
    assert [one.state for one in await court.told()] == ["firing", "resolved"]


@pytest.mark.contract("SF-D24")
async def test_an_error_rate_of_nothing_is_not_evaluated(court: Court) -> None:
    rule = await court.rule(condition="error_rate > 0.05")
    await court.result(rule, 1, {"error_count": 10, "count": 100})
    await court.work()
    await court.computed_until(rule, 2)
    await court.pass_time(0.1)
    assert [one.status for one in await court.alerts()] == ["firing"], "an empty window says neither"


async def test_what_cannot_be_known_without_data_is_kept_and_then_called_no_data(court: Court) -> None:
    rule = await court.rule(condition="avg(temperature) > 30", missing_for="3m")
    await court.result(rule, 1, {"avg_temperature": 31.0})
    await court.work()
    for minute, status in ((2, "firing"), (3, "firing"), (4, "no_data")):
        await court.computed_until(rule, minute)
        await court.pass_time(0.1)
        assert (await court.alerts())[0].status == status
    assert [one.state for one in await court.told()] == ["firing", "no_data"]


async def test_nothing_is_called_missing_while_analytics_has_not_come_that_far(court: Court) -> None:
    rule = await court.rule()
    await court.say(rule, 1, 9)
    await court.computed_until(rule, 1)
    await court.pass_time(600)
    assert [one.state for one in await court.told()] == ["firing", *["firing"] * (len(await court.told()) - 1)]
    assert (await court.alerts())[0].status == "firing"


async def test_an_expected_device_that_says_nothing_raises_an_alert(court: Court) -> None:
    rule = await court.rule(condition="absent()", group_by=["source"], expect=["pump-1", "pump-2"])
    await court.computed_until(rule, 1)
    await court.pass_time(0.1)
    await court.result(rule, 2, {"absent": False}, source="pump-1")
    await court.work()
    await court.computed_until(rule, 2)
    await court.pass_time(0.1)
    assert [(one.state, one.labels["source"]) for one in await court.told()] == [("firing", "pump-2")]


async def test_a_rule_without_groups_hears_silence_too(court: Court) -> None:
    rule = await court.rule(condition="count < 1")
    await court.computed_until(rule, 1)
    await court.pass_time(0.1)
    await court.computed_until(rule, 2)
    await court.pass_time(0.1)
    assert [one.state for one in await court.told()] == ["firing"]


@pytest.mark.contract("SF-130")
async def test_a_disabled_rule_ends_its_alerts_and_never_fires(court: Court) -> None:
    rule = await court.rule()
    await court.say(rule, 1, 9)
    await court.rulebook.change(rule.id, rule.definition.model_copy(update={"enabled": False}), by="ada")
    await court.tenure.reload()
    assert [(one.status, one.ended_by) for one in await court.alerts()] == [("resolved", "weft")]
    assert rule.id not in court.tenure.rules.live
    assert court.tenure.rules.topics == []


@pytest.mark.parametrize(
    ("edit", "kept"),
    [
        ({"description": "another text", "channels": ["sms"], "suppression_minutes": 5}, True),
        ({"condition": "count>5"}, True),
        ({"condition": "count > 6"}, False),
        ({"window": "2m"}, False),
        ({"where": 'type == "error"'}, False),
    ],
)
async def test_an_edit_that_changes_no_meaning_keeps_the_alert(court: Court, edit: dict[str, Any], kept: bool) -> None:
    rule = await court.rule()
    await court.say(rule, 1, 9)
    changed = read_definition(rule.definition.to_json() | edit)
    assert (await court.rulebook.change(rule.id, changed, by="ada")).version == 2
    await court.tenure.reload()
    assert [one.status for one in await court.alerts()] == ["firing" if kept else "resolved"]
    assert len(await court.told()) == (1 if kept else 2)


async def test_a_removed_rule_ends_its_alerts_and_says_so(court: Court) -> None:
    rule = await court.rule()
    await court.say(rule, 1, 9)
    await court.rulebook.remove(rule.id)
    await court.tenure.reload()
    (alert,) = await court.alerts()
    assert [(done.change, done.reason) for done in await hands(court).history(alert.id)][-1] == (
        "resolved",
        "the rule was removed",
    )
    async with court.database.reading() as session:
        assert (await session.scalars(select(StateRow))).all() == []


async def test_a_shadow_rule_writes_everything_down_and_tells_nobody(court: Court) -> None:
    rule = await court.rule(shadow=True)
    for minute, count in enumerate([9, 1], start=1):
        await court.say(rule, minute, count)
    assert await court.told() == []
    assert await court.changes() == ["firing", "resolved"]


async def test_an_alert_that_comes_and_goes_is_told_once_as_flapping(court: Court) -> None:
    rule = await court.rule(suppression_minutes=0)
    for minute in range(1, 11):
        await court.say(rule, minute, 9 if minute % 2 else 1)
    told = [one.occasion for one in await court.told()]
    assert told.count("flapping") == 1
    assert len(told) <= 7
    assert "flapping" in await court.changes()


async def test_a_finding_of_weft_itself_is_judged_like_anything_else(court: Court) -> None:
    level = Level.FINE

    async def check() -> Finding:
        return Finding(code="log.lag", level=level, why="the log is behind")

    court.checks.add("log.lag", check)
    await court.rule(name="lag", finding=["log.*"], condition="weight >= threshold", levels={"warning": 2, "critical": 3})
    steps = [(Level.LOOK, "firing"), (Level.UNKNOWN, "firing"), (Level.ACT, "firing"), (Level.FINE, "resolved")]
    for level, status in steps:
        await court.pass_time(1)
        assert (await court.alerts())[-1].status == status, f"{level} is no reason to call it over"
    assert [(one.state, one.level) for one in await court.told()] == [
        ("firing", "warning"),
        ("firing", "critical"),
        ("resolved", "critical"),
    ]
    assert "the log is behind" in (await court.told())[0].summary


async def test_a_finding_that_stays_unknown_is_told_as_that(court: Court) -> None:
    async def check() -> Finding:
        raise RuntimeError("the check broke")

    court.checks.add("log.lag", check)
    await court.rule(name="lag", finding=["log.lag"], condition="weight >= 2")
    for _ in range(6):
        await court.pass_time(1)
    assert [one.state for one in await court.told()] == ["no_data"]


async def test_a_transition_that_could_not_be_announced_waits_and_is_announced_later(court: Court) -> None:
    rule = await court.rule()
    await court.result(rule, 1, {"count": 9})
    topic = court.tenure.rules.topics[0]
    batches = [
        batch
        for state in (await court.log.state()).partitions
        if state.topic == topic
        for batch in await court.log.read(_place(state), 0)
    ]
    await court.tenure.take(batches)
    async with court.database.reading() as session:
        assert len((await session.scalars(select(AnnouncementRow))).all()) == 1
    assert await court.changes() == []
    await court.judge.look(court.tenure)
    assert await court.changes() == ["firing"]


async def test_whoever_lost_the_lease_changes_nothing(court: Court) -> None:
    rule = await court.rule()
    await court.result(rule, 1, {"count": 9})
    await court.lease.release()
    with pytest.raises((Conflict, Unavailable)):
        await court.work()
    assert await court.alerts() == []


async def test_the_heart_beats_once_an_interval(court: Court) -> None:
    for _ in range(11):
        await court.pass_time(1)
    beats = [event for event in await court.events() if event["type"] == "weft.heartbeat"]
    assert len(beats) == 3
    assert len({event["id"] for event in beats}) == 3


def _place(state: Any) -> Any:
    from weft.core.position import TopicPartition

    return TopicPartition(state.topic, state.partition)
