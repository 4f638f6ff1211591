"""The parameters of the questions: what they are called, what they may say, and the question they make.

An unknown name is refused, a value of the wrong kind too (422, naming the field); what contradicts is Malformed (400).
"""

import re
from typing import Annotated, Any, Final, Literal, Self

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from weft.core import times
from weft.core.errors import Invalid, Malformed
from weft.core.event import DEFAULT_TOPIC
from weft.core.interval import parse_interval
from weft.store.query import Aggregate, Filter, Metric, Select

MAX_LIMIT: Final = 1_000
MAX_CONDITIONS: Final = 16
DATA: Final = "data."
GROUPS: Final = ("type", "source", "severity", "user_id", "hour", "day", "interval")

_PATH: Final = re.compile(r"[^.\x00-\x1f\"]{1,128}(\.[^.\x00-\x1f\"]{1,128}){0,15}")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_LOST_PLUS: Final = re.compile(r"(?<=T)([^ ]+) (\d\d:?\d\d)$", re.ASCII)


def _moment(value: object) -> int:
    if not isinstance(value, str):
        raise PydanticCustomError("time", "give one time")
    text = _LOST_PLUS.sub(r"\1+\2", value)  # an unquoted '+' in a URL arrives as a space
    try:
        return times.parse(text)
    except Invalid as wrong:
        raise PydanticCustomError("time", "{why}", {"why": wrong.message}) from None


def _interval(value: object) -> int:
    try:
        return parse_interval(str(value))
    except Invalid as wrong:
        raise PydanticCustomError("interval", "{why}", {"why": wrong.message}) from None


def _data_field(value: object) -> object:
    if isinstance(value, str) and value.startswith(DATA) and _PATH.fullmatch(value[len(DATA) :]) is None:
        raise PydanticCustomError("path", "is not a path such as data.temperature or data.sensor.value")
    return value


Moment = Annotated[int, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Interval = Annotated[int, BeforeValidator(_interval), WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]*[smhd]$"})]
FieldName = Annotated[str, BeforeValidator(_data_field), Field(min_length=1, max_length=512)]
Topic = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Word = Annotated[str, Field(min_length=1, max_length=1024)]
Words = Annotated[list[Word], Field(max_length=100)]
SeverityName = Literal["low", "medium", "high", "critical"]


class EventFilter(BaseModel):
    """Which events. Besides the named parameters, `data.<path>=value` compares a field inside `data`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    topic: Topic = Field(default=DEFAULT_TOPIC, description="The topic to ask.")
    type: Words | None = Field(default=None, description="Event type; may be repeated, any of them matches.")
    source: Words | None = Field(default=None, description="Source; may be repeated.")
    severity: list[SeverityName] | None = Field(default=None, description="Severity; may be repeated.")
    user_id: Words | None = Field(default=None, description="User id; may be repeated.")
    subject: Word | None = Field(default=None, description="Subject.")
    session_id: Word | None = Field(default=None, description="Session id.")
    correlation_id: Word | None = Field(default=None, description="Correlation id.")
    tag: Word | None = Field(default=None, description="A tag the event carries.")

    @model_validator(mode="after")
    def _know_every_name(self) -> Self:
        extra = self.model_extra or {}
        if len(extra) > MAX_CONDITIONS:
            raise Invalid(f"{len(extra)} conditions on data are too many; at most {MAX_CONDITIONS}", field="data.<path>")
        for name in extra:
            if not name.startswith(DATA):
                known = sorted(field.alias or key for key, field in type(self).model_fields.items())
                raise Invalid(
                    f"there is no parameter '{name[:64]}' here", field=name[:64], allowed_values=[*known, "data.<path>"]
                )
        return self

    def conditions(self) -> tuple[tuple[str, str | float | bool], ...]:
        """The conditions on fields inside `data`. Raises Invalid for a path that is none or is given twice."""
        return tuple((_path(name), data_value(name, value)) for name, value in (self.model_extra or {}).items())

    def to_filter(self, start_us: int | None, end_us: int | None) -> Filter:
        """The filter over [start_us, end_us)."""
        return Filter(
            topic=self.topic,
            start_us=start_us,
            end_us=end_us,
            types=_tuple(self.type),
            sources=_tuple(self.source),
            severities=_tuple(self.severity),
            user_ids=_tuple(self.user_id),
            subject=self.subject,
            session_id=self.session_id,
            correlation_id=self.correlation_id,
            tag=self.tag,
            data=self.conditions(),
        )


class RangeFilter(EventFilter):
    """Which events, and from when to when; both ends belong to the range."""

    start: Moment | None = Field(default=None, description="First time that matches, with an offset: 2026-01-31T12:00:00Z.")
    end: Moment | None = Field(default=None, description="Last time that matches; an event of exactly this time is included.")

    @model_validator(mode="after")
    def _run_forward(self) -> Self:
        check_forward(self.start, self.end)
        return self

    def filter(self) -> Filter:
        """The filter. `end` itself matches, so the half-open range of the store ends one microsecond later."""
        return self.to_filter(self.start, None if self.end is None else self.end + 1)


class EventsQuery(RangeFilter):
    """A page of events: by number (`page`, with totals) or by `cursor` (without)."""

    page: int = Field(default=1, ge=1, description="Page number, from 1.")
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT, description="Events a page.")
    order: Literal["asc", "desc"] = Field(default="desc", description="By time: newest first (desc) or oldest first (asc).")
    cursor: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None,
        description="`pagination.cursor` of the page before; empty for the first page. Pages by cursor stay stable while "
        "events arrive, cost the same however deep, and count no totals.",
    )

    @model_validator(mode="after")
    def _page_one_way(self) -> Self:
        if self.cursor is not None and "page" in self.model_fields_set:
            raise Malformed("page and cursor contradict each other; give one of them", fields=["page", "cursor"])
        return self

    def select(self, max_skip: int) -> Select:
        """The question. Raises Invalid where the page lies deeper than `max_skip` events."""
        if self.cursor is not None:
            return Select(filter=self.filter(), limit=self.limit, order=self.order, after=self.cursor or None)
        skip = (self.page - 1) * self.limit
        if skip > max_skip:
            raise Invalid(
                f"page {self.page} lies {skip} events deep, pages reach {max_skip}; page by cursor instead (cursor=)",
                field="page",
                highest=max_skip // self.limit + 1,
            )
        return Select(filter=self.filter(), limit=self.limit, order=self.order, skip=skip, with_total=True)


class AggregationsQuery(RangeFilter):
    """A metric over the matching events, by group."""

    metric: Metric = Field(default="count", description="What to compute; all but count need `field`.")
    field: FieldName | None = Field(
        default=None, description="What it is computed over: a field inside data (`data.<path>`) or a column such as `user_id`."
    )
    group_by: Annotated[list[FieldName], Field(max_length=4)] = Field(
        default=["type"],
        description=f"Group key: {', '.join(GROUPS)} or `data.<path>`; may be repeated for several keys.",
    )
    interval: Interval | None = Field(default=None, description="Width of the group key `interval`: 1s to 31d, such as 5m.")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        for group in self.group_by:
            if group not in GROUPS and not group.startswith(DATA):
                raise Invalid(f"'{group[:64]}' is no group", field="group_by", allowed_values=[*GROUPS, "data.<path>"])
        if len(set(self.group_by)) < len(self.group_by):
            raise Malformed("a group_by is given twice", fields=["group_by"])
        if self.metric != "count" and self.field is None:
            raise Invalid(f"the metric {self.metric} needs field, such as data.response_time", field="field")
        if ("interval" in self.group_by) != (self.interval is not None):
            raise Malformed(
                "group_by=interval and interval belong together; give both or neither", fields=["group_by", "interval"]
            )
        return self

    def aggregate(self, *, grouped: bool = True) -> Aggregate:
        """The question, by group or, not `grouped`, over all matching events at once."""
        return Aggregate(
            filter=self.filter(),
            metric=self.metric,
            field=self.field,
            group_by=tuple(self.group_by) if grouped else (),
            interval_us=self.interval if grouped else None,
        )


class HistoryQuery(EventFilter):
    """Counts per interval over [start, end), in UTC, aligned to the interval."""

    start: Moment | None = Field(default=None, description="Start of the range; 24 hours before its end when absent.")
    end: Moment | None = Field(default=None, description="End of the range, not included; now when absent.")
    interval: Interval = Field(default=times.HOUR_US, description="Width of a bucket: 1s to 31d, such as 1h.")
    page: int = Field(default=1, ge=1, description="Page number, from 1.")
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT, description="Buckets a page.")

    @model_validator(mode="after")
    def _run_forward(self) -> Self:
        check_forward(self.start, self.end)
        return self


class SeriesQuery(EventFilter):
    """One numeric field over [from, to), drawn in `width` pixels."""

    start: Moment = Field(alias="from", description="Start of the range.")
    end: Moment = Field(alias="to", description="End of the range, not included.")
    field: FieldName = Field(description="The field: `data.<path>`.")
    width: int = Field(
        default=1_000, ge=1, le=10_000, description="Width in pixels; a pixel gets at most two points (min, max)."
    )

    @model_validator(mode="after")
    def _run_forward(self) -> Self:
        if self.start >= self.end:
            raise Malformed("from must be before to", fields=["from", "to"])
        return self


class FeedQuery(BaseModel):
    """Where a feed begins and what it lets through."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: Annotated[str, Field(max_length=4096)] = Field(
        default="latest",
        alias="from",
        description="`latest` (what comes from now on), `earliest` (all that is kept), or the offsets to begin at: "
        "`partition:offset`, several joined by commas.",
    )
    type: Words | None = Field(default=None, description="Event type; may be repeated.")
    source: Words | None = Field(default=None, description="Source; may be repeated.")
    filter: Annotated[str, Field(min_length=1, max_length=2_000)] | None = Field(
        default=None, description="An expression that has to be true of an event, such as `temperature > 30`."
    )


class SocketFeedQuery(FeedQuery):
    """What the socket of a topic can do beside."""

    conflate: bool = Field(
        default=False,
        description="Whether a reader that is far behind gets the newest event of each type, source and subject and a gap, "
        "instead of every event late.",
    )
    credit: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = Field(
        default=None, description="Events that may be sent until the client grants more with a `credit` operation."
    )

    @model_validator(mode="after")
    def _wait_one_way(self) -> Self:
        if self.conflate and self.credit is not None:
            raise Malformed("conflate and credit contradict each other; give one of them", fields=["conflate", "credit"])
        return self


class LiveQuery(BaseModel):
    """A live feed as server-sent events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: Topic | None = Field(default=None, description="The topic of the feed `topic`, the continuous query of `query`.")
    filter: Annotated[str, Field(min_length=1, max_length=2_000)] | None = Field(
        default=None, description="An expression that has to be true of an event, such as `temperature > 30`."
    )
    cursor: Annotated[str, Field(max_length=4_096)] | None = Field(
        default=None, description="`cursor` of an earlier update, to go on from there; or `latest`, `earliest`."
    )
    rate: Annotated[str, Field(max_length=16)] = Field(
        default="every", description="`every` event as it comes, or the time between two updates, such as 1s."
    )
    snapshot: bool = Field(default=False, description="Whether to begin with what stands now.")


class AlertsQuery(BaseModel):
    """Which alerts a socket shows. Each parameter may be repeated; any of its values matches."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Words | None = Field(default=None, description="Status, such as firing.")
    level: Words | None = Field(default=None, description="Level: info, warning, error, critical.")
    rule: Words | None = Field(default=None, description="Name or id of the rule.")
    filter: Annotated[str, Field(min_length=1, max_length=2_000)] | None = Field(
        default=None, description="An expression that has to be true of a transition besides."
    )
    cursor: Annotated[str, Field(max_length=4_096)] | None = Field(
        default=None, description="`cursor` of an earlier frame, to go on from there instead of with what stands now."
    )


class ReadQuery(BaseModel):
    """A raw read of one partition of the log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partition: int = Field(default=0, ge=0, lt=2**31, description="The partition.")
    offset: int = Field(default=0, ge=0, lt=2**63, description="The first offset to read.")
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT, description="Events at most.")


def check_forward(start_us: int | None, end_us: int | None) -> None:
    """Raise Malformed where a range runs backward."""
    if start_us is not None and end_us is not None and start_us > end_us:
        raise Malformed(
            f"start ({times.to_text(start_us)}) is after end ({times.to_text(end_us)}); swap them", fields=["start", "end"]
        )


def data_value(name: str, value: Any) -> str | float | bool:
    """What a condition compares with: `true` and `false`, a number, or a text; text in double quotes is text in any case."""
    if not isinstance(value, str):
        raise Malformed(f"{name[:64]} is given more than once", fields=[name[:64]])
    if value in {"true", "false"}:
        return value == "true"
    if _NUMBER.fullmatch(value) and abs(number := float(value)) != float("inf"):
        return number
    if len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return msgspec.json.decode(value, type=str)
        except msgspec.MsgspecError:
            return value
    return value


def _path(name: str) -> str:
    path = name[len(DATA) :]
    if _PATH.fullmatch(path) is None:
        raise Invalid(f"'{name[:64]}' is not a path such as data.sensor.value", field=name[:64])
    return path


def _tuple(values: list[Any] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
