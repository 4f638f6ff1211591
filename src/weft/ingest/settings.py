"""Settings of the doors. Environment: `WEFT_INGEST__<FIELD>`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from weft.core.event import DEFAULT_TOPIC

_TOPIC = r"^[a-z0-9][a-z0-9._-]*$"
_TYPE = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$"

TopicText = Annotated[str, Field(pattern=_TOPIC, max_length=128)]
TypeText = Annotated[str, Field(pattern=_TYPE, max_length=256)]


class IngestSettings(BaseModel):
    """What the doors take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, description="Bytes a request body may have, unpacked.")
    events_per_batch: int = Field(default=10_000, ge=1, description="Events one request may hold.")
    event_bytes: int = Field(
        default=256 * 1024, ge=256, description="Bytes of JSON one event may have; larger payloads belong in files."
    )
    nesting: int = Field(default=64, ge=1, le=256, description="How deep `data` and `metadata` may be nested.")
    max_ahead_s: float = Field(
        default=300.0, ge=0, description="Seconds an event's time may lie ahead of this machine's clock."
    )

    topics: tuple[TopicText, ...] = Field(
        default=(DEFAULT_TOPIC,),
        min_length=1,
        description="Topics the doors take; the first is used where an event names none.",
    )
    other_topics: bool = Field(default=False, description="Whether events may name topics that are not listed.")
    event_types: dict[TypeText, Path | None] = Field(
        default={}, description="Further event types, each with the path of a JSON Schema (2020-12) for its `data`, or null."
    )
    other_event_types: bool = Field(default=False, description="Whether types that are not in the catalogue are taken.")
    schemas: Literal["marked", "all", "off"] = Field(
        default="marked",
        description="Which types have their `data` checked against their schema: those marked `x-enforced`, all, or none.",
    )

    single_queue_bytes: int = Field(
        default=32 * 1024 * 1024, ge=1024, description="Bytes of single events that may wait for the log; more are turned away."
    )
    frame_queue_bytes: int = Field(
        default=1024 * 1024, ge=1024, description="Bytes of WebSocket frames a connection may have waiting for their ack."
    )
    host_source: bool = Field(default=True, description="Whether this machine's state is written as `system.metric` events.")
    host_interval_s: float = Field(default=1.0, ge=0.1, description="Seconds between two samples of this machine.")
    host_disk: Path = Field(default=Path("/"), description="The disk whose free space is sampled: any path on it.")

    @property
    def default_topic(self) -> str:
        """Where an event goes that names no topic."""
        return self.topics[0]
