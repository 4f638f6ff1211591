"""Episode: one alert from the moment it fired to its end, in event time, as a rehearsal sees it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from weft.alerts.phase import ACTIVE, OPEN
from weft.alerts.rehearsal import Happening
from weft.alerts.rule import LEVELS, AlertLevel
from weft.core import times


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """One alert from firing to its end, in event time; `ended_us` is None where it went on. `level` is the worst it had."""

    key: dict[str, str | None]
    fired_us: int
    ended_us: int | None
    level: AlertLevel
    notices: int

    def told(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "key": self.key,
            "fired": times.to_text(self.fired_us),
            "ended": None if self.ended_us is None else times.to_text(self.ended_us),
            "level": self.level,
            "notices": self.notices,
        }


class Episodes:
    """Episodes, put together from what happens."""

    def __init__(self) -> None:
        self._open: dict[tuple[str | None, ...], Episode] = {}
        self._over: list[Episode] = []

    def take(self, happening: Happening) -> None:
        """One more thing happened."""
        key, transition = tuple(happening.key.values()), happening.transition
        episode = self._open.get(key)
        level = transition.level or LEVELS[0]
        if episode is None and transition.status in ACTIVE:
            at_us = transition.event_us or transition.at_us
            episode = Episode(key=happening.key, fired_us=at_us, ended_us=None, level=level, notices=0)
        if episode is None:
            return
        worst = max(episode.level, level, key=LEVELS.index)
        episode = msgspec.structs.replace(episode, level=worst, notices=episode.notices + len(happening.notices))
        if transition.status not in OPEN:
            self._open.pop(key, None)
            ended_us = transition.event_us or transition.at_us
            self._over.append(msgspec.structs.replace(episode, ended_us=ended_us))
        else:
            self._open[key] = episode

    def all(self) -> Sequence[Episode]:
        """Every episode, those that go on included, in the order in which they fired."""
        return sorted([*self._over, *self._open.values()], key=lambda one: (one.fired_us, str(one.key)))
