"""Spacing: which waiting notifications of a channel may leave now, and together with which others. Pure: no clock, no database.

Those of one group leave together; two messages about one group have `group_interval` between them; a group whose last message
is still on its way waits for it, so that what is told about one alert keeps its order. Where more groups are ready than the
channel may send messages, all of them become one digest. What is too much for one message waits for the group's next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from weft.alerts.notify.settings import NotifySettings
from weft.core.times import MINUTE_US, SECOND_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One notification that waits for its turn at a channel. What it does not say about its group, the settings say."""

    id: str
    fingerprint: str
    transition: int
    group_key: str
    created_at_us: int
    group_wait_us: int | None = None
    group_interval_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a channel did lately: groups with a message on its way, when a message about each group last ended, and when each
    message of the last minute did (those on their way count as now)."""

    busy: frozenset[str] = frozenset()
    ended_us: Mapping[str, int] = field(default_factory=dict[str, int])
    minute_us: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """What leaves now, one inner list for each message, in the order of time, and when to look again (None: not before
    something happens)."""

    messages: Sequence[Sequence[str]] = field(default_factory=list[list[str]])
    next_us: int | None = None


def space(
    waiting: Sequence[Waiting], sent: Sent, *, settings: NotifySettings, messages_per_minute: int, now_us: int
) -> Leaving:
    """What leaves now."""
    ready: list[list[Waiting]] = []
    later: list[int] = []
    for group, members in _grouped(waiting).items():
        if group in sent.busy:
            continue
        due_us = _due_us(members, sent.ended_us.get(group), settings)
        if due_us <= now_us:
            ready.append(members)
        else:
            later.append(due_us)
    slots = messages_per_minute - len(sent.minute_us)
    if ready and slots < 1:
        later.append(min(sent.minute_us) + MINUTE_US)
        ready = []
    if len(ready) > slots:
        ready = [[one for members in ready for one in members]]
    most = settings.digest_notifications
    messages = [[one.id for one in members[:most]] for members in ready]
    return Leaving(messages=messages, next_us=min(later, default=None))


def _grouped(waiting: Sequence[Waiting]) -> dict[str, list[Waiting]]:
    """By group, the longest waiting first; inside one by alert, and what is told about an alert in the order it happened."""
    groups: dict[str, list[Waiting]] = {}
    first_us: dict[tuple[str, str], int] = {}
    for one in sorted(waiting, key=lambda one: (one.created_at_us, one.id)):
        groups.setdefault(one.group_key, []).append(one)
        first_us.setdefault((one.group_key, one.fingerprint), one.created_at_us)
    for group, members in groups.items():
        members.sort(key=lambda one: (first_us[group, one.fingerprint], one.fingerprint, one.transition, one.created_at_us))
    return groups


def _due_us(members: Sequence[Waiting], ended_us: int | None, settings: NotifySettings) -> int:
    """When a group may leave: the newest member says how it is spaced, for the rule may have changed."""
    newest = max(members, key=lambda one: (one.created_at_us, one.id))
    wait_us = round(settings.group_wait_s * SECOND_US) if newest.group_wait_us is None else newest.group_wait_us
    due_us = min(one.created_at_us for one in members) + wait_us
    if ended_us is None:
        return due_us
    return max(due_us, ended_us + interval_us(newest.group_interval_us, settings))


def interval_us(asked_us: int | None, settings: NotifySettings) -> int:
    """The least time between two messages about a group."""
    return round(settings.group_interval_s * SECOND_US) if asked_us is None else asked_us
