"""Spacing: what leaves together and when. Whatever arrives in whatever order, nothing is lost and alerts keep their order."""

from hypothesis import given
from hypothesis import strategies as st

from weft.alerts.notify.settings import NotifySettings
from weft.alerts.notify.spacing import Leaving, Sent, Waiting, space
from weft.core.times import MINUTE_US, SECOND_US

NOW = 1_000 * MINUTE_US


def waiting(
    number: int, *, group: str | None = None, alert: str | None = None, transition: int = 1, age_s: float = 0
) -> Waiting:
    return Waiting(
        id=f"d{number:04}",
        fingerprint=alert or f"a{number}",
        transition=transition,
        group_key=group or alert or f"a{number}",
        created_at_us=NOW - round(age_s * SECOND_US),
    )


def leave(*those: Waiting, sent: Sent | None = None, per_minute: int = 100, **settings: float) -> Leaving:
    return space(those, sent or Sent(), settings=NotifySettings(**settings), messages_per_minute=per_minute, now_us=NOW)


def test_what_has_no_group_leaves_alone_and_at_once() -> None:
    assert leave(waiting(1), waiting(2)) == Leaving(messages=[["d0001"], ["d0002"]])


def test_a_group_waits_for_company_no_longer_than_it_is_told() -> None:
    young = leave(waiting(1, group="g", age_s=5), group_wait_s=30)
    old = leave(waiting(1, group="g", age_s=30), waiting(2, group="g"), group_wait_s=30)

    assert young == Leaving(next_us=NOW + 25 * SECOND_US)
    assert old == Leaving(messages=[["d0001", "d0002"]])


def test_two_messages_about_a_group_keep_their_distance() -> None:
    sent = Sent(ended_us={"g": NOW - 4 * SECOND_US})

    assert leave(waiting(1, group="g"), sent=sent, group_interval_s=10) == Leaving(next_us=NOW + 6 * SECOND_US)
    assert leave(waiting(1, group="g"), sent=sent, group_interval_s=4).messages == [["d0001"]]


def test_a_group_with_a_message_on_its_way_waits_for_it() -> None:
    assert leave(waiting(1, group="g"), waiting(2), sent=Sent(busy=frozenset({"g"}))) == Leaving(messages=[["d0002"]])


def test_more_than_may_be_sent_becomes_one_digest() -> None:
    sent = Sent(minute_us=[NOW] * 8)

    assert leave(*(waiting(number) for number in range(3)), sent=sent, per_minute=10).messages == [["d0000", "d0001", "d0002"]]


def test_a_channel_that_sent_all_it_may_waits_for_the_minute_to_pass() -> None:
    sent = Sent(minute_us=[NOW - 50 * SECOND_US, NOW])

    assert leave(waiting(1), sent=sent, per_minute=2) == Leaving(next_us=NOW + 10 * SECOND_US)


def test_a_message_holds_no_more_than_it_may() -> None:
    leaving = leave(*(waiting(number, group="g") for number in range(7)), digest_notifications=5)

    assert [len(message) for message in leaving.messages] == [5]


STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(1, 30)), max_size=60)


@given(STEPS, st.integers(1, 5), st.sampled_from([0.0, 3.0, 20.0]), st.integers(1, 4))
def test_everything_leaves_once_and_in_order(
    steps: list[tuple[int, int, int]], per_minute: int, group_wait_s: float, most: int
) -> None:
    settings = NotifySettings(group_wait_s=group_wait_s, digest_notifications=most)
    held: dict[str, Waiting] = {}
    told: list[Waiting] = []
    ended: dict[str, int] = {}
    sent_us: list[int] = []
    now_us, transitions = NOW, dict.fromkeys(range(6), 0)
    for number, (alert, group, pause_s) in enumerate([*steps, *[(-1, 0, 30)] * 200]):
        now_us += pause_s * SECOND_US
        if alert >= 0:
            transitions[alert] += 1
            one = Waiting(
                id=f"d{number:04}",
                fingerprint=f"a{alert}",
                transition=transitions[alert],
                group_key=f"g{alert % (group + 1)}",
                created_at_us=now_us,
            )
            held[one.id] = one
        minute = [at for at in sent_us if at > now_us - MINUTE_US]
        leaving = space(
            list(held.values()),
            Sent(ended_us=ended, minute_us=minute),
            settings=settings,
            messages_per_minute=per_minute,
            now_us=now_us,
        )
        assert len(minute) + len(leaving.messages) <= per_minute
        for message in leaving.messages:
            assert len(message) <= most
            members = [held.pop(one) for one in message]
            told += members
            sent_us.append(now_us)
            ended |= {member.group_key: now_us for member in members}

    assert held == {}
    assert len({one.id for one in told}) == len(told) == len(steps)
    for group in {(one.group_key, one.fingerprint) for one in told}:
        order = [one.transition for one in told if (one.group_key, one.fingerprint) == group]
        assert order == sorted(order), f"{group} was told out of order"
