"""Templates: text with `{name}` in it, for names from one closed list. Nothing is evaluated, nothing looked up in objects.

A line in which every name has nothing to say is left out. `{{` and `}}` stand for braces.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from weft.alerts.notify.notification import Notification, Value
from weft.core.errors import Invalid
from weft.core.times import to_text

MAX_CHARS: Final = 4000

_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_BLANK_LINES: Final = re.compile(r"\n{3,}")

NAMES: Final[dict[str, tuple[str, Callable[[Notification], str]]]] = {
    "state": ("what the alert became: firing, resolved, …", lambda told: told.state),
    "level": ("info, warning, error or critical", lambda told: told.level),
    "rule": ("the rule's name", lambda told: told.rule_name),
    "rule_id": ("the rule's id", lambda told: told.rule_id),
    "rule_version": ("the rule's version", lambda told: str(told.rule_version)),
    "summary": ("the alert in one sentence", lambda told: told.summary),
    "description": ("the rule's description", lambda told: told.description),
    "labels": ("the labels, as name=value", lambda told: _pairs(told.labels)),
    "values": ("the values that decided, as name=value", lambda told: _pairs(told.values)),
    "since": ("since when", lambda told: to_text(told.since_us)),
    "at": ("when this was decided", lambda told: to_text(told.at_us)),
    "link": ("where the alert is shown", lambda told: told.links.get("alert", "")),
    "why": ("where it is shown why", lambda told: told.links.get("why", "")),
    "fingerprint": ("what names the alert", lambda told: told.fingerprint),
    "transition": ("the number of this change of the alert", lambda told: str(told.transition)),
    "occasion": ("why it is said again: escalated, reminder, …; empty the first time", lambda told: told.occasion),
    "group": ("what it was grouped by", lambda told: told.group_key),
}
"""Each name, what it stands for, and how it is found."""


def check_template(text: str, *, field: str) -> None:
    """Raises Invalid, naming the field and the place, where a template cannot be filled in."""
    if len(text) > MAX_CHARS:
        raise Invalid(f"{field} has {len(text)} characters; at most {MAX_CHARS} are taken", field=field, limit=MAX_CHARS)
    for piece in _PIECE.finditer(text):
        if piece[0] in {"{{", "}}"}:
            continue
        if piece[1] is None:
            raise Invalid(f"{field} has a single '{piece[0]}' at character {piece.start() + 1}; write it twice", field=field)
        if piece[1] not in NAMES:
            raise Invalid(
                f"{field} has {{{piece[1][:64]}}} at character {piece.start() + 1}; known are: {', '.join(NAMES)}",
                field=field,
                allowed=list(NAMES),
            )


def fill(text: str, notification: Notification) -> str:
    """The template with a notification's words. What those words contain is never read as a template."""
    lines = [line for template in text.split("\n") if (line := _fill_line(template, notification)) is not None]
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def _fill_line(template: str, notification: Notification) -> str | None:
    said: list[str] = []

    def piece(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        said.append(NAMES[found[1]][1](notification))
        return said[-1]

    line = _PIECE.sub(piece, template)
    return line if not said or any(said) else None


def _pairs(named: Mapping[str, Value]) -> str:
    return ", ".join(f"{name}={_word(value)}" for name, value in sorted(named.items()))


def _word(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
