"""Difference: what two rules say differently over the same history."""

from collections.abc import Sequence
from typing import Any

import msgspec

from weft.alerts.episode import Episode


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Two rules over the same history: alerts of one alone, and those of both that were not the same."""

    same: int
    only_before: list[Episode]
    only_after: list[Episode]
    changed: list[tuple[Episode, Episode]]

    def told(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "same": self.same,
            "only_before": [episode.told() for episode in self.only_before],
            "only_after": [episode.told() for episode in self.only_after],
            "changed": [{"before": before.told(), "after": after.told()} for before, after in self.changed],
        }


def compare(before: Sequence[Episode], after: Sequence[Episode]) -> Difference:
    """Episodes of one key that overlap are the same alert; each is paired once, the earliest first."""
    left = list(after)
    only_before: list[Episode] = []
    changed: list[tuple[Episode, Episode]] = []
    same = 0
    for one in before:
        other = next((candidate for candidate in left if _overlap(one, candidate)), None)
        if other is None:
            only_before.append(one)
            continue
        left.remove(other)
        if one == other:
            same += 1
        else:
            changed.append((one, other))
    return Difference(same=same, only_before=only_before, only_after=left, changed=changed)


def _overlap(one: Episode, other: Episode) -> bool:
    if one.key != other.key:
        return False
    starts_before_end = other.ended_us is None or one.fired_us <= other.ended_us
    return starts_before_end and (one.ended_us is None or other.fired_us <= one.ended_us)
