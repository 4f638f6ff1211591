"""Draft: what somebody writes of a dashboard; the rest of it Weft adds."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from weft.query.dashboards.panel import Panel

MAX_PANELS: Final = 64

Panels = Annotated[list[Panel], Field(max_length=MAX_PANELS)]


class Draft(BaseModel):
    """A dashboard as it is written, and as it is exported."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=128, description="What it is called.")
    description: str = Field(default="", max_length=2_000, description="What it is for.")
    shared: bool = Field(default=False, description="Whether everybody may look at it; only its owner changes it.")
    panels: Panels = Field(default_factory=list[Panel], description="Its panels.")
