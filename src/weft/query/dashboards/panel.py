"""Panel: one picture of a dashboard, and the question behind it, checked like the question itself."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from weft.core.errors import Invalid, Malformed
from weft.query.condition import Condition
from weft.query.live.alerts import read_alerts
from weft.query.live.seen import read_rate
from weft.query.parameters import (
    AggregationsQuery,
    AlertsQuery,
    EventsQuery,
    SeriesQuery,
    Topic,
)
from weft.query.realtime import Figures

PanelKind = Literal["series", "stat", "table", "topic", "alerts", "text"]

GRID_COLUMNS: Final = 24
MAX_OPTIONS_BYTES: Final = 4096
LONGEST_TEXT: Final = 20_000
QUESTIONS: Final[Mapping[PanelKind, tuple[str, ...]]] = {
    "series": ("series", "continuous"),
    "stat": ("realtime", "aggregation", "continuous"),
    "table": ("events", "aggregation", "continuous"),
    "topic": ("topic",),
    "alerts": ("alerts",),
    "text": ("text",),
}
"""What each kind of panel may ask; the one key of its `query`."""
_OF_THE_PAGE: Final = frozenset({"from", "to", "start", "end", "width", "page", "cursor"})
"""Parameters that whoever looks at the dashboard decides, with the range of time and the size of the window."""
_ANY_RANGE: Final = {"from": "2000-01-01T00:00:00Z", "to": "2000-01-02T00:00:00Z"}

ValueName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,63}$")]


class Position(BaseModel):
    """Where a panel lies on a grid of 24 columns, and how large it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    x: int = Field(ge=0, lt=GRID_COLUMNS, description="Column of its left edge.")
    y: int = Field(ge=0, le=10_000, description="Row of its upper edge.")
    w: int = Field(ge=1, le=GRID_COLUMNS, description="Columns wide.")
    h: int = Field(ge=1, le=1_000, description="Rows high.")


class Panel(BaseModel):
    """One picture. `query` has one key that says what is asked, with the parameters of that question as its value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=64, description="Its name inside the dashboard.")
    title: str = Field(default="", max_length=200, description="What stands above it.")
    kind: PanelKind = Field(description="What it is drawn as.")
    query: dict[str, JsonValue] = Field(
        description="What it asks: one key such as `series`, and the parameters of that question."
    )
    position: Position = Field(description="Where it lies.")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="How it looks; for the page alone.")


class Continuous(BaseModel):
    """Results of a continuous query; those of `filter`, and of them one value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
    value: ValueName | None = None
    filter: str | None = None


class LiveTopic(BaseModel):
    """A topic as its live feed shows it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: Topic
    filter: str | None = None
    rate: str = "every"


class RealtimeFigure(BaseModel):
    """One of the realtime metrics."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    figure: str


def check_panels(panels: list[Panel]) -> None:
    """Raise Invalid where a panel asks what could not be answered, naming the panel and the field."""
    known: set[str] = set()
    for number, panel in enumerate(panels):
        place = f"panels[{number}]"
        if panel.id in known:
            raise Invalid(f"two panels are called '{panel.id}'", field=f"{place}.id")
        known.add(panel.id)
        if panel.position.x + panel.position.w > GRID_COLUMNS:
            raise Invalid(f"the panel ends beyond column {GRID_COLUMNS}", field=f"{place}.position.w", highest=GRID_COLUMNS)
        if len(msgspec.json.encode(panel.options)) > MAX_OPTIONS_BYTES:
            raise Invalid(f"options may have at most {MAX_OPTIONS_BYTES} bytes", field=f"{place}.options")
        _check_question(panel, f"{place}.query")


def _check_question(panel: Panel, place: str) -> None:
    allowed = QUESTIONS[panel.kind]
    if len(panel.query) != 1 or (question := next(iter(panel.query))) not in allowed:
        raise Invalid(f"a {panel.kind} panel asks one of {', '.join(allowed)}", field=place, allowed_values=list(allowed))
    asked = panel.query[question]
    if question == "text":
        if not isinstance(asked, str) or len(asked) > LONGEST_TEXT:
            raise Invalid(f"a text has at most {LONGEST_TEXT} characters", field=f"{place}.text")
        return
    if not isinstance(asked, dict):
        raise Invalid(f"{question} takes an object with the parameters of the question", field=f"{place}.{question}")
    try:
        _CHECKS[question](dict(asked))
    except ValidationError as wrong:
        first = wrong.errors()[0]
        field = ".".join([place, question, *(str(part) for part in first["loc"])])
        raise Invalid(f"{field}: {first['msg']}", field=field) from wrong
    except (Invalid, Malformed) as wrong:
        details = {**wrong.details, "field": ".".join(filter(None, [place, question, str(wrong.details.get("field") or "")]))}
        raise Invalid(wrong.message, **details) from wrong


def _check_series(asked: dict[str, Any]) -> None:
    _leave_to_the_page(asked)
    SeriesQuery.model_validate({**asked, **_ANY_RANGE}).conditions()


def _check_aggregation(asked: dict[str, Any]) -> None:
    _leave_to_the_page(asked)
    AggregationsQuery.model_validate(asked).conditions()


def _check_events(asked: dict[str, Any]) -> None:
    _leave_to_the_page(asked)
    EventsQuery.model_validate(asked).conditions()


def _check_continuous(asked: dict[str, Any]) -> None:
    _check_filter(Continuous.model_validate(asked).filter)


def _check_topic(asked: dict[str, Any]) -> None:
    topic = LiveTopic.model_validate(asked)
    read_rate(topic.rate)
    _check_filter(topic.filter)


def _check_alerts(asked: dict[str, Any]) -> None:
    _leave_to_the_page(asked)
    _check_filter(read_alerts(AlertsQuery.model_validate(asked)).filter)


def _check_realtime(asked: dict[str, Any]) -> None:
    figures = [field.name for field in msgspec.structs.fields(Figures)]
    if RealtimeFigure.model_validate(asked).figure not in figures:
        raise Invalid(f"there is no figure '{str(asked['figure'])[:64]}'", field="figure", allowed_values=figures)


def _check_filter(text: str | None) -> None:
    if text is not None:
        Condition.of(text)


def _leave_to_the_page(asked: dict[str, Any]) -> None:
    for name in sorted(_OF_THE_PAGE & asked.keys()):
        raise Invalid(f"{name} is decided by whoever looks at the dashboard; leave it out", field=name)


_CHECKS: Final[Mapping[str, Callable[[dict[str, Any]], None]]] = {
    "series": _check_series,
    "aggregation": _check_aggregation,
    "events": _check_events,
    "continuous": _check_continuous,
    "topic": _check_topic,
    "alerts": _check_alerts,
    "realtime": _check_realtime,
}
