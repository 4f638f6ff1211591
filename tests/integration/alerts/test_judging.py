"""From results to alerts: what stands in the database, in the outbox and in the log after it."""

from tests.integration.alerts.conftest import Court


async def test_a_rule_fires_once_and_resolves_and_both_are_told_once(court: Court) -> None:
    rule = await court.rule()
    for minute, count in enumerate([3, 9, 12, 2], start=1):
        await court.say(rule, minute, count)
    assert [(told.state, told.values) for told in await court.told()] == [
        ("firing", {"count": 9}),
        ("resolved", {"count": 2}),
    ]
    assert await court.changes() == ["firing", "resolved"]
    (alert,) = await court.alerts()
    assert (alert.status, alert.level, alert.ended_by) == ("resolved", "warning", "weft")
