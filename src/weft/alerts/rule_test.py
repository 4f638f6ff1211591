"""Tests of rules: events in, expected alerts out. Nothing is stored, nobody is told, no server is needed.

A file names rules and tests. What a test expects at a moment is compared with every alert that is pending or worse then, so an
alert too many fails as one too few does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

import msgspec

from weft.alerts.compile import Compiled, compile_rule
from weft.alerts.phase import Status
from weft.alerts.rehearsal import Happening, Rehearsal, Standing
from weft.alerts.rule import AlertLevel, RuleDefinition
from weft.alerts.series import read_series
from weft.core import times
from weft.core.errors import Invalid
from weft.core.event import DEFAULT_TOPIC, EventRow, Severity
from weft.core.interval import parse_interval
from weft.stream.engine.taken import Result
from weft.stream.trial import Trial, batch_of_rows

MOST_EVENTS: Final = 1_000_000
_BEGINNING: Final = "2000-01-01T00:00:00Z"
_LIMIT_BYTES: Final = 256 << 20


class Events(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events that come regularly: the n-th has the n-th value of every series in `values`, and `data` beside them.

    `at` is when the first one comes, counted from the start of the test. `times` is how many come where no series says so.
    """

    source: str
    every: str = "10s"
    at: str = "0s"
    times: int | None = None
    type: str = "reading"
    topic: str = DEFAULT_TOPIC
    values: dict[str, str | float] = {}
    data: dict[str, Any] = {}
    severity: Severity = "medium"
    subject: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    tags: tuple[str, ...] = ()


class ExpectedAlert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One alert. Its level is compared where it is said."""

    key: dict[str, str | None] = {}
    status: Status = "firing"
    level: AlertLevel | None = None


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every alert of one rule at one moment, counted from the start of the test."""

    at: str
    rule: str
    alerts: tuple[ExpectedAlert, ...] = ()


class RuleTest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One test."""

    name: str
    expect: tuple[Expectation, ...]
    events: tuple[Events, ...] = ()
    start: str = _BEGINNING


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """What was not as expected: at which moment, of which rule, and both sides."""

    at: str
    rule: str
    expected: list[str]
    found: list[str]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a test went, and everything that happened in it."""

    name: str
    passed: bool
    mismatches: list[Mismatch]
    happenings: list[Happening]


def read_tests(written: object) -> list[RuleTest]:
    """The tests of a file. Raises Invalid that names the place."""
    try:
        return msgspec.convert(written, list[RuleTest], strict=False)
    except msgspec.ValidationError as wrong:
        what, _, place = str(wrong).partition(" - at `$")
        raise Invalid(f"tests: {what}", field=f"tests{place.rstrip('`')}") from wrong


def run_test(test: RuleTest, rules: Sequence[RuleDefinition], *, out_of_order_us: int) -> Outcome:
    """Run one test over the rules it names. Raises Invalid where it names a rule that is not there, or writes wrong events."""
    known = {rule.name: rule for rule in rules}
    for expectation in test.expect:
        if expectation.rule not in known:
            listed = ", ".join(known) or "none"
            raise Invalid(f"test '{test.name}' speaks of rule '{expectation.rule}'; the file has {listed}", field="expect.rule")
    start_us = times.parse(test.start, field="start")
    mismatches: list[Mismatch] = []
    happenings: list[Happening] = []
    for name in dict.fromkeys(expectation.rule for expectation in test.expect):
        course = _Course(compile_rule(known[name], "test"), test, start_us, out_of_order_us)
        for expectation in sorted((one for one in test.expect if one.rule == name), key=lambda one: _offset_us(one.at)):
            happenings += course.go_to(start_us + _offset_us(expectation.at))
            mismatches += _compare(expectation, course.standings())
    return Outcome(name=test.name, passed=not mismatches, mismatches=mismatches, happenings=happenings)


@dataclass(frozen=True, slots=True, order=True)
class _Row:
    time_us: int
    number: int
    row: EventRow


class _Course:
    """One rule over the events of a test, moment by moment."""

    def __init__(self, compiled: Compiled, test: RuleTest, start_us: int, out_of_order_us: int) -> None:
        query = compiled.query
        if query is None:
            raise Invalid(f"the rule '{compiled.definition.name}' judges findings, which have no events", field="expect.rule")
        self._topic = query.topic
        self._bound_us = out_of_order_us
        self._rows = sorted(_rows(test, query.topic, start_us))
        self._done = 0
        self._trial = Trial(query, bound_us=out_of_order_us, limit_bytes=_LIMIT_BYTES)
        self._rehearsal = Rehearsal(compiled, since_us=start_us)
        self._offset = 0

    def standings(self) -> Sequence[Standing]:
        """How the alerts stand now."""
        return self._rehearsal.standings()

    def go_to(self, moment_us: int) -> list[Happening]:
        """What happens up to a moment: events of that very moment have come, windows that end then are over."""
        upto = next((i for i in range(self._done, len(self._rows)) if self._rows[i].time_us > moment_us), len(self._rows))
        results: list[Result] = []
        if upto > self._done:
            rows = [one.row for one in self._rows[self._done : upto]]
            batch = replace(batch_of_rows(rows, topic=self._topic, now_us=moment_us), first_offset=self._offset)
            results += self._trial.take(batch)[0]
            self._offset, self._done = batch.next_offset, upto
        if self._offset:
            results += self._trial.advance(moment_us + self._bound_us)
            self._offset += 1
        return list(self._rehearsal.take(results, moment_us))


def _rows(test: RuleTest, topic: str, start_us: int) -> Iterator[_Row]:
    """The events of one topic, with the moments they come at."""
    numbers = count()
    for events in test.events:
        if events.topic != topic:
            continue
        series = {name: read_series(str(text), field=f"events.values.{name}") for name, text in events.values.items()}
        length = max((len(values) for values in series.values()), default=1) if events.times is None else events.times
        if length > MOST_EVENTS:
            raise Invalid(f"test '{test.name}' makes {length} events of {events.source}, at most {MOST_EVENTS} are made")
        first_us, every_us = start_us + _offset_us(events.at), parse_interval(events.every, field="events.every")
        for index in range(length):
            said = {name: values[index] for name, values in series.items() if index < len(values) and values[index] is not None}
            if series and not said:
                continue
            time_us = first_us + index * every_us
            yield _Row(time_us, next(numbers), _row(events, time_us, said))


def _row(events: Events, time_us: int, said: Mapping[str, float | None]) -> EventRow:
    return EventRow(
        type=events.type,
        source=events.source,
        time=times.to_text(time_us),
        severity=events.severity,
        subject=events.subject,
        user_id=events.user_id,
        session_id=events.session_id,
        tags=events.tags,
        data=msgspec.Raw(msgspec.json.encode(events.data | dict(said))),
    )


def _compare(expectation: Expectation, standings: Sequence[Standing]) -> Iterator[Mismatch]:
    left = list(standings)
    missing: list[ExpectedAlert] = []
    for expected in expectation.alerts:
        found = next((one for one in left if _is_as(one, expected)), None)
        if found is None:
            missing.append(expected)
        else:
            left.remove(found)
    if missing or left:
        yield Mismatch(
            at=expectation.at,
            rule=expectation.rule,
            expected=[_said(expected.key, expected.status, expected.level) for expected in expectation.alerts],
            found=[_said(one.key, one.status, one.level) for one in standings],
        )


def _is_as(standing: Standing, expected: ExpectedAlert) -> bool:
    same_level = expected.level is None or standing.level == expected.level
    return standing.key == expected.key and standing.status == expected.status and same_level


def _said(key: Mapping[str, str | None], status: str, level: str | None) -> str:
    about = ", ".join(f"{name}={value}" for name, value in key.items())
    return " ".join(part for part in (about, status, level or "") if part)


def _offset_us(text: str) -> int:
    """A moment counted from the start of a test; `0s` is the start itself."""
    return 0 if text in {"0", "0s"} else parse_interval(text, field="at")
