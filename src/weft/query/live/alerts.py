"""Alerts: the subscription of a socket that shows alerts alone."""

from collections.abc import Sequence

import msgspec

from weft.query.live.ask import Subscribe
from weft.query.live.seen import ALERTS
from weft.query.parameters import AlertsQuery


def read_alerts(query: AlertsQuery) -> Subscribe:
    """What stands now and every transition from then on, or what came after a cursor."""
    terms = [_any(("status",), query.status), _any(("level",), query.level), _any(("rule.name", "rule.id"), query.rule)]
    if query.filter is not None:
        terms.append(f"({query.filter})")
    return Subscribe(
        id=ALERTS,
        feed="alerts",
        filter=" and ".join(filter(None, terms)) or None,
        cursor=query.cursor,
        snapshot=query.cursor is None,
    )


def _any(names: Sequence[str], values: Sequence[str] | None) -> str:
    """A condition that one of the names has one of the values; nothing where there are none."""
    if values is None:
        return ""
    choices = ", ".join(msgspec.json.encode(value).decode() for value in values)
    return "(" + " or ".join(f"{name} in [{choices}]" for name in names) + ")"
