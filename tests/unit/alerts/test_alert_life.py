"""The life of an alert against a simple model: whatever happens in whatever order, it stands where the definitions say."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from weft.alerts.alert_state import AlertState, Mute, Notice, Step
from weft.alerts.lifecycle import Escalation, Life, Policy
from weft.alerts.phase import OPEN, Seen, Timing
from weft.alerts.rule import LEVELS, AlertLevel, NoDataPolicy
from weft.core.times import MINUTE_US

LEVEL = st.sampled_from(LEVELS)
VERDICT = st.sampled_from([True, True, False, None])
SUPPRESSION, REPEAT, STEPS = 10, 20, (15, 40)


class Model:
    """How an alert stands, from the list of everything its windows said since it last ended; windows are a minute long."""

    def __init__(self, *, hold: int, keep: int, missing: int, policy: NoDataPolicy, watched: bool) -> None:
        self.hold, self.keep, self.missing, self.policy, self.watched = hold, keep, missing, policy, watched
        self.windows: list[tuple[int, bool | None]] = []
        self.active = self.ended = self.no_data = False

    @property
    def status(self) -> str:
        if self.no_data:
            return "no_data"
        if self.active:
            return "firing" if [said for _, said in self.windows if said is not None][-1] else "recovering"
        if self.run():
            return "pending"
        return "resolved" if self.ended else "inactive"

    def say(self, end: int, verdict: bool | None) -> None:
        if verdict is None and self.policy == "ok" and self.silence(end) >= self.missing:
            verdict = False
        self.windows.append((end, verdict))
        if verdict is None:
            self.say_nothing(end)
        elif verdict:
            run = self.run()
            self.active = self.active or run[-1] - run[0] >= self.hold
            self.no_data = self.ended = False
        elif self.no_data if not self.active else end - max(at for at, said in self.windows if said) >= self.keep:
            self.finish()
        else:
            self.no_data = False

    def say_nothing(self, end: int) -> None:
        if self.silence(end) < self.missing or self.policy == "keep":
            return
        if self.policy == "resolve":
            if self.active:
                self.finish()
        elif self.active or self.watched:
            self.no_data, self.ended = True, False

    def silence(self, end: int) -> int:
        """For how long nothing was known, this window included."""
        known = [number for number, (_, said) in enumerate(self.windows) if said is not None]
        unknown = self.windows[known[-1] + 1 :] if known else self.windows
        return end - (unknown[0][0] if unknown else end) + 1

    def finish(self) -> None:
        self.active, self.no_data, self.ended, self.windows = False, False, True, []

    def run(self) -> list[int]:
        """The ends of the unbroken run of true windows that reaches to the newest."""
        run: list[int] = []
        for end, said in reversed(self.windows):
            if not said or (run and run[-1] - end > 1):
                break
            run.append(end)
        return run[::-1]


class AlertMachine(RuleBasedStateMachine):
    """Windows come, people act, time passes."""

    @initialize(
        hold=st.integers(0, 3),
        keep=st.integers(0, 3),
        missing=st.integers(1, 4),
        policy=st.sampled_from(["ok", "keep", "alert", "resolve"]),
        watched=st.booleans(),
    )
    def begin(self, hold: int, keep: int, missing: int, policy: NoDataPolicy, watched: bool) -> None:
        self.model = Model(hold=hold, keep=keep, missing=missing, policy=policy, watched=watched)
        timing = Timing(
            level="warning",
            for_us=hold * MINUTE_US,
            keep_firing_us=keep * MINUTE_US,
            missing_us=missing * MINUTE_US,
            no_data=policy,
            step_us=MINUTE_US,
            watched=watched,
        )
        self.life = Life(
            Policy(
                timing=timing,
                suppression_us=SUPPRESSION * MINUTE_US,
                repeat_us=REPEAT * MINUTE_US,
                escalation=tuple(Escalation(after_us=minutes * MINUTE_US) for minutes in STEPS),
                flaps=1000,
            )
        )
        self.state = AlertState()
        self.now = 1_000
        self.end = 100
        self.until: int | None = None
        self.taken = False
        self.notices: list[tuple[Notice, AlertState]] = []
        self.told = False

    def take(self, step: Step) -> None:
        numbers = [done.number for done in step.transitions]
        assert numbers == list(range(self.state.number + 1, step.state.number + 1)), "every change has a number of its own"
        was_muted = step.state.is_muted
        for notice in step.notices:
            assert not was_muted, "nobody is told while it is silenced or inhibited"
            assert notice.number not in {told.number for told, _ in self.notices}, "a number is told once"
            assert notice.number <= step.state.number
            self.notices.append((notice, step.state))
        assert step.due_us is None or step.due_us > self.now * MINUTE_US, "what is due was done"
        was_open = self.state.status in OPEN
        self.state = step.state
        if was_open and self.state.status not in OPEN:
            ended = [notice for notice in step.notices if notice.kind == "resolved"]
            assert bool(ended) == (self.told and not was_muted), "the end is told to whoever heard of the beginning"
            self.told = self.taken = False
        self.told = self.told or (bool(step.notices) and self.state.is_active)
        # The state survives being written down and read again.
        assert msgspec.json.decode(msgspec.json.encode(self.state), type=AlertState) == self.state

    @rule(verdict=VERDICT, level=LEVEL, skip=st.sampled_from([0, 0, 0, 1]))
    def window(self, verdict: bool | None, level: AlertLevel, skip: int) -> None:
        self.end += 1 + skip
        self.now += 1
        before = self.state
        self.model.say(self.end, verdict)
        seen = Seen(
            start_us=(self.end - 1) * MINUTE_US,
            end_us=self.end * MINUTE_US,
            is_true=verdict,
            is_clear=None if verdict is None else not verdict,
            level=level if verdict else None,
        )
        self.take(self.life.judge(before, seen, self.now * MINUTE_US))
        if self.state.is_active and LEVELS.index(self.state.level or "info") > LEVELS.index(before.level or "critical"):
            self.taken = False

    @rule(minutes=st.integers(1, 30))
    def wait(self, minutes: int) -> None:
        self.now += minutes
        self.take(self.life.look(self.state, self.now * MINUTE_US))

    @precondition(lambda self: self.state.status in OPEN)
    @rule(minutes=st.one_of(st.none(), st.integers(1, 60)))
    def acknowledge(self, minutes: int | None) -> None:
        self.until = None if minutes is None else self.now + minutes
        until_us = None if self.until is None else self.until * MINUTE_US
        self.take(self.life.acknowledge(self.state, self.now * MINUTE_US, by="ada", until_us=until_us))
        self.taken = True

    @rule()
    def resolve(self) -> None:
        if self.model.active or self.model.no_data:
            self.model.finish()
        elif self.model.run():
            self.model.windows, self.model.ended = [], False
        self.take(self.life.resolve(self.state, self.now * MINUTE_US, by="ada"))

    @rule(silence=st.sampled_from([None, "s1"]), by=st.sampled_from([None, "r1"]))
    def mute(self, silence: str | None, by: str | None) -> None:
        self.take(self.life.mute(self.state, self.now * MINUTE_US, Mute(silence, by)))

    @invariant()
    def it_stands_where_the_definitions_say(self) -> None:
        assert self.state.status == self.model.status

    @invariant()
    def an_acknowledgement_lasts_until_its_end_a_rise_or_the_end_of_the_alert(self) -> None:
        if self.taken and self.until is not None and self.now >= self.until:
            self.taken = False
        assert (self.state.acknowledged is not None) == self.taken

    @invariant()
    def whoever_has_to_know_was_told(self) -> None:
        if not self.state.is_active or self.state.is_muted:
            return
        last = self.state.last_told
        quiet = last is not None and self.now * MINUTE_US < last.at_us + SUPPRESSION * MINUTE_US
        assert self.told or quiet, "an active alert that nothing keeps quiet was told"

    @invariant()
    def nobody_is_told_the_same_again_within_the_suppression_period(self) -> None:
        if len(self.notices) < 2:
            return
        (earlier, _), (later, _) = self.notices[-2:]
        if later.kind in {"firing", "reminder"} and earlier.kind in {"firing", "reminder"}:
            worse = LEVELS.index(later.level or "info") > LEVELS.index(earlier.level or "info")
            assert worse or later.at_us - earlier.at_us >= SUPPRESSION * MINUTE_US


def test_an_alert_stands_where_the_definitions_say_whatever_happens() -> None:
    run_state_machine_as_test(AlertMachine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None))


def windows_of(verdicts: list[bool | None]) -> list[Seen]:
    return [
        Seen(
            start_us=number * MINUTE_US,
            end_us=(number + 1) * MINUTE_US,
            is_true=verdict,
            is_clear=None if verdict is None else not verdict,
            level="error" if verdict else None,
        )
        for number, verdict in enumerate(verdicts)
    ]


REVISABLE = Policy(
    timing=Timing(
        level="error", for_us=MINUTE_US, keep_firing_us=MINUTE_US, missing_us=3 * MINUTE_US, step_us=MINUTE_US,
        revisable_us=100 * MINUTE_US,
    )
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    first=st.lists(st.tuples(VERDICT, VERDICT), min_size=1, max_size=12),
    order=st.randoms(use_true_random=False),
)
def test_late_truth_leads_where_the_truth_in_time_would_have_led(
    first: list[tuple[bool | None, bool | None]], order: object
) -> None:
    """Each window is answered once in time, then corrected in any order: the phase is that of the corrected windows alone."""
    life = Life(REVISABLE)
    corrected, straight = AlertState(), AlertState()
    for seen in windows_of([was for was, _ in first]):
        corrected = life.judge(corrected, seen, seen.end_us).state
    late = [msgspec.structs.replace(seen, revision=1) for seen in windows_of([is_now for _, is_now in first])]
    order.shuffle(late)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    for seen in late:
        corrected = life.judge(corrected, seen, 10**12).state
    for seen in windows_of([is_now for _, is_now in first]):
        straight = life.judge(straight, seen, seen.end_us).state
    assert corrected.phase == straight.phase
