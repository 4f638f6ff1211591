"""Muting: which silence, and which other alert, keeps an alert quiet at this moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.alert_state import Mute
from weft.alerts.live import LiveRules
from weft.alerts.record import read_key
from weft.alerts.rule import Rule
from weft.alerts.silence import Silence, labels_of, list_on
from weft.alerts.tables import StateRow

Key = Mapping[str, str | None]
_FIRING = ("firing", "recovering")


@dataclass(frozen=True, slots=True)
class Mutes:
    """The silences that count, and for each rule that keeps others quiet the keys it fires for."""

    silences: Sequence[Silence] = ()
    inhibitors: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    firing: Mapping[str, Sequence[Key]] = field(default_factory=dict[str, Sequence[Key]])

    def of(self, rule: Rule, key: Key, level: str | None) -> Mute:
        """What keeps an alert of this rule and key quiet."""
        labels = labels_of(
            rule_id=rule.id,
            rule_name=rule.name,
            level=level or rule.definition.level,
            tags=rule.definition.tags,
            key=key,
        )
        silence = next((one.id for one in self.silences if one.matches(labels)), None)
        return Mute(silence, self._inhibitor(rule.id, key))

    @property
    def mark(self) -> tuple[object, ...]:
        """Something that is another whenever somebody may have to be quiet, or may speak again."""
        firing = tuple(sorted((rule_id, str(sorted(map(str, keys)))) for rule_id, keys in self.firing.items()))
        return (tuple((one.id, one.updated_at_us) for one in self.silences), firing)

    def _inhibitor(self, rule_id: str, key: Key) -> str | None:
        for other in sorted(self.inhibitors.get(rule_id, ())):
            if other != rule_id and any(_agree(key, fired) for fired in self.firing.get(other, ())):
                return other
        return None


async def load_mutes(session: AsyncSession, rules: LiveRules, now_us: int) -> Mutes:
    """What keeps alerts quiet now."""
    inhibitors = rules.inhibitors()
    sources = sorted(frozenset[str]().union(*inhibitors.values()))
    firing: dict[str, list[Key]] = {}
    if sources:
        asked = select(StateRow.rule_id, StateRow.key).where(StateRow.rule_id.in_(sources), StateRow.status.in_(_FIRING))
        for rule_id, key in (await session.execute(asked)).tuples():
            firing.setdefault(rule_id, []).append(read_key(key))
    return Mutes(await list_on(session, now_us), inhibitors, firing)


def _agree(one: Key, other: Key) -> bool:
    """Whether two keys have the same values under all names they share."""
    return all(other[name] == value for name, value in one.items() if name in other)
