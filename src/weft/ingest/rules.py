"""The rules an event has to meet, made ready once from the settings and the catalogue."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import jsonschema_rs
import msgspec

from weft.core.errors import Invalid
from weft.core.event_types import EventType, EventTypeCatalogue, built_in_catalogue, plain_type
from weft.core.times import SECOND_US
from weft.ingest.settings import IngestSettings

INTERNAL: Final = "weft."
"""Types that begin like this are written by Weft itself; doors refuse them from outside."""


class DataSchema:
    """The JSON Schema of a type's `data`, compiled."""

    def __init__(self, entry: EventType) -> None:
        self._version = entry.version
        try:
            self._validator = jsonschema_rs.validator_for(entry.schema, offline=True)
        except (ValueError, jsonschema_rs.ReferencingError) as wrong:
            raise Invalid(f"the schema of the event type '{entry.name}' is wrong: {wrong}", field="event_types") from wrong

    def check(self, data: bytes) -> None:
        """Raise Invalid, naming the field, where `data` does not follow the schema."""
        for error in self._validator.iter_errors(msgspec.json.decode(data)):
            path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path)
            raise Invalid(f"data{path}: {error.message}", field=f"data{path}", schema_version=self._version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What makes an event acceptable at a door."""

    catalogue: EventTypeCatalogue
    types: frozenset[str]
    any_type: bool
    schemas: Mapping[str, DataSchema]
    topics: frozenset[str]
    any_topic: bool
    default_topic: str
    nesting: int
    event_bytes: int
    events_per_batch: int
    max_ahead_us: int

    @classmethod
    def of(cls, settings: IngestSettings, catalogue: EventTypeCatalogue) -> Self:
        """The rules these settings ask for. Raises Invalid for a schema that is none."""
        entries = [catalogue.get(name) for name in catalogue.names]
        enforced = [
            entry for entry in entries if settings.schemas == "all" or (settings.schemas == "marked" and entry.enforced)
        ]
        return cls(
            catalogue=catalogue,
            types=frozenset(catalogue.names),
            any_type=settings.other_event_types,
            schemas={entry.name: DataSchema(entry) for entry in enforced},
            topics=frozenset(settings.topics),
            any_topic=settings.other_topics,
            default_topic=settings.default_topic,
            nesting=settings.nesting,
            event_bytes=settings.event_bytes,
            events_per_batch=settings.events_per_batch,
            max_ahead_us=int(settings.max_ahead_s * SECOND_US),
        )


def read_catalogue(settings: IngestSettings) -> EventTypeCatalogue:
    """The built-in types and those of the settings, their schema files read. Raises Invalid for a file that is no schema."""
    return built_in_catalogue().with_more(
        plain_type(name) if path is None else _read_type(name, path) for name, path in settings.event_types.items()
    )


def _read_type(name: str, path: Path) -> EventType:
    try:
        schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as unreadable:
        raise Invalid(f"the schema of '{name}' cannot be read from {path}: {unreadable}", field="event_types") from unreadable
    return EventType(
        name=name,
        version=int(schema.get("x-version", 1)),
        description=str(schema.get("description", "Named in the configuration.")),
        schema=schema,
        enforced=bool(schema.get("x-enforced", True)),
    )
