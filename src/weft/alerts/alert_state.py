"""The state of an alert, and what a step of its life is made of. Pure data: how it changes is in `weft.alerts.lifecycle`."""

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import msgspec

from weft.alerts.phase import ACTIVE, Phase, Seen, Status
from weft.alerts.rule import LEVELS, AlertLevel

Change = Literal[
    "pending",
    "firing",
    "recovering",
    "resolved",
    "inactive",
    "no_data",
    "error",
    "level",
    "amended",
    "acknowledged",
    "unacknowledged",
    "silenced",
    "unsilenced",
    "inhibited",
    "uninhibited",
    "flapping",
    "steady",
    "escalated",
    "reminded",
]
"""What happened; the event in the topic `alerts` is called `weft.alert.<change>`."""
NoticeKind = Literal["firing", "resolved", "reminder", "level", "escalated", "amended", "no_data", "error", "flapping"]

SYSTEM: Final = "weft"
"""Who acts where nobody did."""


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody has taken it on. It ends at `until_us`, when the level rises, or with the alert."""

    by: str
    at_us: int
    until_us: int | None = None
    comment: str | None = None


class Mute(NamedTuple):
    """What keeps an alert quiet: the id of a silence, the id of another rule that fires."""

    silenced_by: str | None = None
    inhibited_by: str | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What was last said about this episode, and with which transition."""

    at_us: int
    number: int
    status: Status
    level: AlertLevel | None


class AlertState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that has to be remembered of one rule and one key."""

    phase: Phase = Phase()
    base: Phase = Phase()
    recent: tuple[Seen, ...] = ()
    number: int = 0
    episode: int = 0
    fired_at_us: int | None = None
    acknowledged: Acknowledgement | None = None
    silenced_by: str | None = None
    inhibited_by: str | None = None
    flips_us: tuple[int, ...] = ()
    flapping: bool = False
    step: int = 0
    escalate_from_us: int | None = None
    raised: AlertLevel | None = None
    revision: int = 0
    told: Told | None = None
    last_told: Told | None = None

    @property
    def status(self) -> Status:
        """Where it stands."""
        return self.phase.status

    @property
    def level(self) -> AlertLevel | None:
        """How bad it is: what the condition says, or what escalation made of it."""
        return worse(self.phase.level, self.raised)

    @property
    def is_active(self) -> bool:
        """Whether somebody has to know of it."""
        return self.phase.status in ACTIVE

    @property
    def is_muted(self) -> bool:
        """Whether nobody is told for now."""
        return self.silenced_by is not None or self.inhibited_by is not None


class Transition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened to an alert. `number` counts them per rule and key, for ever."""

    number: int
    episode: int
    change: Change
    status: Status
    before: Status
    level: AlertLevel | None
    at_us: int
    event_us: int | None = None
    by: str = SYSTEM
    reason: str | None = None
    amended: bool = False


class Notice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That somebody has to be told. `channels` are other ones than the rule's, where an escalation names them."""

    kind: NoticeKind
    number: int
    episode: int
    status: Status
    level: AlertLevel | None
    at_us: int
    step: int = 0
    channels: tuple[str, ...] | None = None


@dataclass(slots=True)
class Step:
    """A state on its way: changed in place while one thing happens, then read."""

    state: AlertState
    now_us: int
    transitions: list[Transition] = field(default_factory=list[Transition])
    notices: list[Notice] = field(default_factory=list[Notice])
    due_us: int | None = None
    amends: bool = False

    def change(self, **fields: object) -> None:
        """Set fields of the state."""
        self.state = msgspec.structs.replace(self.state, **fields)

    def note(self, change: Change, *, before: Status, by: str = SYSTEM, reason: str | None = None) -> None:
        """Write a transition down; the state is as it is afterwards."""
        state = self.state
        self.state = msgspec.structs.replace(state, number=state.number + 1)
        self.transitions.append(
            Transition(
                number=state.number + 1,
                episode=state.episode,
                change=change,
                status=state.phase.status,
                before=before,
                level=state.level,
                at_us=self.now_us,
                event_us=state.phase.last_end_us,
                by=by,
                reason=reason,
                amended=self.amends,
            )
        )


def renewed(state: AlertState) -> AlertState:
    """The same alert under a rule that means something else now: its windows count no more, its numbers go on."""
    return AlertState(
        number=state.number, episode=state.episode, flips_us=state.flips_us, flapping=state.flapping, last_told=state.last_told
    )


def weight(level: AlertLevel | None) -> int:
    """How bad a level is, as a number; -1 where there is none."""
    return -1 if level is None else LEVELS.index(level)


def worse(one: AlertLevel | None, other: AlertLevel | None) -> AlertLevel | None:
    """The worse of two levels."""
    return one if weight(one) >= weight(other) else other
