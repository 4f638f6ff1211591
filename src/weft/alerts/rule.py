"""Rule: what matters, said once. StreamFlow's AlertRule, and what may be said beyond it.

Only shapes and bounds are checked here; whether the condition means something is checked by `weft.alerts.compile`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, cast, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from weft.core.errors import Invalid
from weft.core.event import DEFAULT_TOPIC
from weft.core.interval import parse_interval
from weft.core.times import MINUTE_US

AlertLevel = Literal["info", "warning", "error", "critical"]
LEVELS: Final[tuple[AlertLevel, ...]] = get_args(AlertLevel)
"""From the mildest to the worst."""
CHANNEL_KINDS: Final = ("email", "slack", "webhook", "sms")
NoDataPolicy = Literal["ok", "keep", "alert", "resolve"]

LEAST_GROUP_INTERVAL_US: Final = 10_000_000
LEAST_REPEAT_US: Final = MINUTE_US
_LONGEST_MINUTES: Final = 31 * 24 * 60
_SHARED_WINDOW: Final = "5m"


def _interval(text: str) -> str:
    try:
        parse_interval(text)
    except Invalid as unreadable:
        raise ValueError(unreadable.message) from None
    return text


Interval = Annotated[str, Field(max_length=12), AfterValidator(_interval)]
"""Text such as `30s`, `5m`, `1h`, `7d`."""
ChannelName = Annotated[str, Field(min_length=1, max_length=128)]
RuleName = Annotated[str, Field(min_length=1, max_length=128)]
Tag = Annotated[str, Field(max_length=256)]
FieldName = Annotated[str, Field(min_length=1, max_length=256)]


class EscalationStep(BaseModel):
    """Whom else to tell when nobody has acknowledged for some time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Interval = Field(description="How long after it fired, such as 15m.")
    level: AlertLevel | None = Field(default=None, description="The level from then on; by default one above.")
    channels: list[ChannelName] = Field(
        default_factory=list[str], max_length=32, description="Whom to tell; by default those of the rule."
    )


class RuleDefinition(BaseModel):
    """A rule as a person writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: RuleName = Field(description="Its name, unique among rules.")
    description: str | None = Field(default=None, max_length=4096, description="What it is about, for whoever is told.")
    condition: str = Field(
        min_length=1, max_length=2000, description="When it is true something is wrong, such as 'error_rate > 0.05'."
    )
    threshold: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="The number the condition compares with; a condition without a comparison means '> threshold'.",
    )
    window: Interval = Field(default=_SHARED_WINDOW, description="The stretch of event time it looks at, such as 5m or 1h.")
    level: AlertLevel = Field(default="warning", description="How bad it is.")
    channels: list[ChannelName] = Field(
        default_factory=list[str], max_length=32, description="Kinds (email, slack, webhook, sms) or names of channels."
    )
    enabled: bool = Field(default=True, description="A disabled rule never fires.")
    suppression_minutes: int = Field(
        default=30,
        ge=0,
        le=_LONGEST_MINUTES,
        description="At most one notification of the same alert in this many minutes, unless its level rises or it resolves; "
        "one for each such period while it goes on and nobody acknowledges it.",
    )
    escalation_minutes: int = Field(
        default=0,
        ge=0,
        le=_LONGEST_MINUTES,
        description="Minutes without acknowledgement after which it escalates; 0 is never.",
    )
    tags: list[Tag] = Field(default_factory=list[str], max_length=64, description="Words to find it by.")
    metadata: dict[str, Any] = Field(default_factory=dict[str, Any], description="Anything to keep with it.")

    from_: str = Field(
        default=DEFAULT_TOPIC,
        alias="from",
        pattern=r"^[a-z0-9][a-z0-9._-]*$",
        max_length=128,
        description="The topic whose events it judges.",
    )
    finding: list[FieldName] = Field(
        default_factory=list[str],
        max_length=64,
        description="Judge these checks of the verdict instead of events, such as log.lag or log.*; the condition then speaks "
        "of 'weight' (0 fine, 2 look, 3 act) and 'level'.",
    )
    where: str | None = Field(default=None, max_length=2000, description="Only events of which this is true.")
    group_by: list[FieldName] = Field(
        default_factory=list[str], max_length=8, description="One alert for each value of these fields, such as source."
    )
    slide: Interval | None = Field(default=None, description="A window begins this often; by default they do not overlap.")
    session_gap: Interval | None = Field(default=None, description="Windows that end after a silence of this length instead.")
    every: Interval | None = Field(default=None, description="Judge windows that are still open, this often.")
    lateness: Interval | None = Field(default=None, description="How late an event may come and still change a window.")
    for_: Interval | None = Field(
        default=None,
        alias="for",
        description="How long it must be true, in event time over consecutive windows.",
    )
    keep_firing_for: Interval | None = Field(
        default=None, description="How long it goes on after the condition was true for the last time."
    )
    resolve_when: str | None = Field(
        default=None, max_length=2000, description="It resolves when this is true, rather than as soon as the condition is not."
    )
    no_data: NoDataPolicy | None = Field(
        default=None,
        description="What missing data means: ok, keep, alert or resolve. By default an alert that goes on is kept for "
        "missing_for and then becomes no_data, and so does whatever is expected.",
    )
    missing_for: Interval | None = Field(default=None, description="How long data may be missing; by default three windows.")
    expect: list[list[str]] = Field(
        default_factory=list[list[str]], max_length=10_000, description="Values of group_by that must come: [['pump-1'], …]."
    )
    levels: dict[AlertLevel, float] = Field(
        default_factory=dict[AlertLevel, float], description="A threshold for each level: one alert that changes its level."
    )
    escalation: list[EscalationStep] = Field(
        default_factory=list[EscalationStep], max_length=16, description="Steps, by the time after firing."
    )
    group_wait: Interval | None = Field(default=None, description="How long to wait for more before the first notification.")
    group_interval: Interval | None = Field(default=None, description="Least time between two notifications of one group.")
    repeat_interval: Interval | None = Field(
        default=None, description="Tell again this often; by default once a suppression period."
    )
    inhibited_by: list[RuleName] = Field(
        default_factory=list[str], max_length=32, description="Silent while one of these rules fires for the same values."
    )
    shadow: bool = Field(default=False, description="Judge and record, tell nobody.")

    @field_validator("expect", mode="before")
    @classmethod
    def _expect_lists(cls, value: Any) -> Any:
        """`['pump-1']` is `[['pump-1']]` where there is one field to group by."""
        if not isinstance(value, list):
            return value
        return [[key] if isinstance(key, str) else key for key in cast("list[object]", value)]

    @field_validator("levels", mode="before")
    @classmethod
    def _levels_list(cls, value: Any) -> Any:
        """`[{level: warning, threshold: 1}]` is `{warning: 1}`."""
        if not isinstance(value, list):
            return value
        entries = [cast("dict[str, object]", entry) for entry in cast("list[object]", value) if isinstance(entry, dict)]
        return {entry.get("level"): entry.get("threshold") for entry in entries}

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.slide is not None and self.session_gap is not None:
            raise ValueError("slide and session_gap are two kinds of window; give one")
        if self.slide is not None and parse_interval(self.window) % parse_interval(self.slide):
            raise ValueError(f"window {self.window} is not a multiple of slide {self.slide}")
        for key in self.expect:
            if len(key) != len(self.group_by):
                raise ValueError(f"expect names {key}, which is not one value for each field of group_by {self.group_by}")
        self._check_times()
        return self

    def _check_times(self) -> None:
        if self.group_interval is not None and parse_interval(self.group_interval) < LEAST_GROUP_INTERVAL_US:
            raise ValueError(f"group_interval {self.group_interval} is less than 10s, which would be a storm")
        if self.repeat_interval is not None:
            repeat_us = parse_interval(self.repeat_interval)
            if repeat_us < LEAST_REPEAT_US:
                raise ValueError(f"repeat_interval {self.repeat_interval} is less than 1m")
            if repeat_us < self.suppression_minutes * MINUTE_US:
                raise ValueError(
                    f"repeat_interval {self.repeat_interval} is shorter than suppression_minutes {self.suppression_minutes}"
                )
        times = [parse_interval(step.after) for step in self.escalation]
        if times != sorted(set(times)):
            raise ValueError("the steps of escalation must come one after the other")

    def to_json(self) -> dict[str, Any]:
        """As it is written in JSON or YAML: every field, by its own name."""
        return self.model_dump(mode="json", by_alias=True)

    def to_written(self) -> dict[str, Any]:
        """Like `to_json`, without what is as it is by default."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


class Rule(BaseModel):
    """A rule as it is kept: what was written, its id and its version."""

    model_config = ConfigDict(frozen=True)

    id: str
    version: int
    definition: RuleDefinition
    owner: str
    created_at_us: int
    updated_at_us: int

    @property
    def name(self) -> str:
        """Its name."""
        return self.definition.name


def read_definition(written: Mapping[str, Any]) -> RuleDefinition:
    """A definition from JSON or YAML. Raises Invalid that names the field."""
    try:
        return RuleDefinition.model_validate(dict(written))
    except ValidationError as wrong:
        first = wrong.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise Invalid(f"{field}: {reason}" if field else reason, field=field or None) from None


def level_above(level: AlertLevel) -> AlertLevel:
    """One worse; the worst stays."""
    return LEVELS[min(LEVELS.index(level) + 1, len(LEVELS) - 1)]
