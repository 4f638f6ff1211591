"""Rehearsal: what a rule would have said, over results alone. Nothing is stored, nobody is told, no server is needed.

The moment something happens is the moment its window was known to be over, in event time: what a server that was never late
would have done. Reminders, escalations and acknowledgements follow that clock too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from weft.alerts.alert_state import AlertState, Notice, Step, Transition
from weft.alerts.compile import Compiled
from weft.alerts.gap import windows_without_result
from weft.alerts.lifecycle import Life
from weft.alerts.phase import OPEN, Seen, Status
from weft.alerts.rule import AlertLevel
from weft.stream.engine.taken import Result

Key = tuple[str | None, ...]


class Happening(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One transition of one key's alert, and the values of the window that brought it about, if one did."""

    rule: str
    key: dict[str, str | None]
    transition: Transition
    values: dict[str, Any] = {}
    notices: tuple[Notice, ...] = ()


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a key's alert stands."""

    key: dict[str, str | None]
    status: Status
    level: AlertLevel | None


class Rehearsal:
    """One rule over the results of its query, in their order. What is expected is missed from `since_us` on."""

    def __init__(self, compiled: Compiled, *, since_us: int) -> None:
        self._compiled = compiled
        self._states: dict[Key, AlertState] = {}
        self._dues_us: dict[Key, int] = {}
        self._last_ends_us: dict[Key, int] = dict.fromkeys(compiled.expected, since_us)
        self._now_us: int | None = None

    def take(self, results: Iterable[Result], over_until_us: int) -> Iterator[Happening]:
        """Judge results, then the windows that were over by `over_until_us` and had none."""
        for result in sorted(results, key=lambda result: (result.end_us, result.start_us, result.revision)):
            yield from self._advance(result.end_us)
            seen = Seen(
                start_us=result.start_us, end_us=result.end_us, is_true=None, revision=result.revision, final=result.final
            )
            yield from self._judge(tuple(result.key.values()), seen, result.values)
        yield from self._miss(over_until_us)
        yield from self._advance(over_until_us)

    def standings(self) -> Sequence[Standing]:
        """Every alert that is pending or worse now, by key."""
        return [
            Standing(key=self._key(key), status=state.status, level=state.level)
            for key, state in sorted(self._states.items(), key=lambda entry: tuple(value or "" for value in entry[0]))
            if state.status in OPEN
        ]

    def _miss(self, over_until_us: int) -> Iterator[Happening]:
        """Windows without a result, of keys that are expected or go on."""
        query = self._compiled.query
        if query is None:
            return
        missing = [
            (end_us, start_us, key)
            for key, last_us in self._last_ends_us.items()
            if self._is_awaited(key)
            for start_us, end_us in windows_without_result(last_us, over_until_us, query.window)
        ]
        for end_us, start_us, key in sorted(missing, key=lambda entry: entry[:2]):
            yield from self._advance(end_us)
            yield from self._judge(key, Seen(start_us=start_us, end_us=end_us, is_true=None), self._compiled.nothing)

    def _is_awaited(self, key: Key) -> bool:
        watched = self._compiled.policy.timing.watched or key in self._compiled.expected
        return watched or self._states.get(key, AlertState()).status in OPEN

    def _advance(self, now_us: int) -> Iterator[Happening]:
        """Let time pass: what was due until then happens at its own moment."""
        while (key := min(self._dues_us, key=lambda key: self._dues_us[key], default=None)) is not None:
            due_us = self._dues_us[key]
            if due_us > now_us:
                break
            self._now_us = max(due_us, self._now_us or due_us)
            yield from self._keep(key, self._life(key).look(self._states[key], self._now_us), {})
        self._now_us = max(now_us, self._now_us or now_us)

    def _judge(self, key: Key, window: Seen, values: Mapping[str, Any]) -> Iterator[Happening]:
        assert self._now_us is not None, "time passes before a window is judged"  # noqa: S101 - the order of calls above
        judged = self._compiled.judge(window, values)
        self._last_ends_us[key] = max(window.end_us, self._last_ends_us.get(key, window.end_us))
        if key not in self._states and not judged.seen.is_true and not self._is_awaited(key):
            return
        step = self._life(key).judge(self._states.get(key, AlertState()), judged.seen, self._now_us)
        yield from self._keep(key, step, dict(values))

    def _keep(self, key: Key, step: Step, values: dict[str, Any]) -> Iterator[Happening]:
        self._states[key] = step.state
        if step.due_us is None:
            self._dues_us.pop(key, None)
        else:
            self._dues_us[key] = step.due_us
        for transition in step.transitions:
            notices = tuple(notice for notice in step.notices if notice.number == transition.number)
            yield Happening(
                rule=self._compiled.definition.name,
                key=self._key(key),
                transition=transition,
                values=values,
                notices=notices,
            )

    def _life(self, key: Key) -> Life:
        return self._compiled.life(self._key(key))

    def _key(self, key: Key) -> dict[str, str | None]:
        names = () if self._compiled.query is None else self._compiled.query.key
        return dict(zip(names, key, strict=True))
