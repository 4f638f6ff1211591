"""The rules that come with Weft, switched on: it tells of its own troubles before somebody misses something."""

from collections.abc import Sequence
from typing import Any, Final

from weft.alerts.rule import RuleDefinition, read_definition
from weft.alerts.rulebook import BUILT_IN, Rulebook
from weft.core.errors import Conflict

_COMMON: Final[dict[str, Any]] = {
    "condition": "weight >= threshold",
    "levels": {"warning": 2, "critical": 3},
    "group_by": ["finding"],
    "tags": ["weft"],
    "suppression_minutes": 60,
}
_RULES: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "Weft falls behind",
        "description": "Something reads the log more slowly than events come in, so answers and alerts come late.",
        "finding": ["log.lag", "query.lag", "stream.lag", "alerts.judging"],
        "for": "30s",
    },
    {
        "name": "Weft sets events aside",
        "description": "Events could not be worked on and wait as dead letters; `weft dlq list` shows them.",
        "finding": ["log.dead_letters", "query.conservation"],
    },
    {
        "name": "Event time stands still",
        "description": "Events arrive but windows do not close: a partition holds old events, or a clock is wrong.",
        "finding": ["stream.watermark", "stream.running", "stream.state"],
        "for": "30s",
    },
    {
        "name": "The disk of Weft fills up",
        "description": "The log or the store will soon have no room, or is damaged.",
        "finding": ["log.disk_forecast", "log.writable", "log.damage", "store.*"],
    },
    {
        "name": "Notifications do not arrive",
        "description": "A channel refuses what it is sent, or is away for long.",
        "finding": ["notify.*"],
    },
)


async def settle_built_in(rulebook: Rulebook, *, channels: Sequence[str]) -> int:
    """Make those that were never made; returns how many. What somebody changed or disabled stays so."""
    made = 0
    known = {rule.name for rule in (await rulebook.list())[0] if rule.owner == BUILT_IN}
    for definition in built_in_rules(channels):
        if definition.name in known:
            continue
        try:
            await rulebook.create(definition, by=BUILT_IN, owner=BUILT_IN)
        except Conflict:  # somebody has a rule of that name, or another process was faster
            continue
        made += 1
    return made


def built_in_rules(channels: Sequence[str]) -> list[RuleDefinition]:
    """The definitions."""
    return [read_definition(_COMMON | rule | {"channels": list(channels)}) for rule in _RULES]
