"""The event type catalogue: which types a door takes, and the JSON Schema of each one's `data`, with a version.

The built-in types are StreamFlow's. More come by configuration. Schemas describe; only a type whose entry says `enforced`
has its `data` checked at the door, because StreamFlow's clients may put anything into `data`.
"""

import json
from collections.abc import Iterable
from importlib.resources import files
from typing import Any, Final

import msgspec

from weft.core.errors import Invalid

JSON_SCHEMA_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

BUILT_IN: Final = (
    "web.click",
    "web.pageview",
    "api.request",
    "api.response",
    "user.login",
    "user.logout",
    "user.activity",
    "error",
    "metric",
    "custom",
    "system.metric",
    "system.deployment",
    "system.warning",
)


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """One type: its name, the version of its schema, what it means, and the JSON Schema (2020-12) of its `data`."""

    name: str
    version: int
    description: str
    schema: dict[str, Any]
    enforced: bool = False


class EventTypeCatalogue:
    """The types this program takes. Names are case-sensitive."""

    def __init__(self, types: Iterable[EventType]) -> None:
        self._types = {entry.name: entry for entry in types}

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, built-in ones first."""
        return tuple(self._types)

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def get(self, name: str) -> EventType:
        """The type of this name. Raises Invalid, listing the allowed ones."""
        try:
            return self._types[name]
        except KeyError:
            raise Invalid(f"no event type is called '{name[:64]}'", field="type", allowed_values=list(self._types)) from None

    def with_more(self, more: Iterable[EventType]) -> "EventTypeCatalogue":
        """This catalogue and further types; a known name is replaced."""
        return EventTypeCatalogue([*(entry for entry in self._types.values()), *more])


def built_in_catalogue() -> EventTypeCatalogue:
    """The types that need no configuration, read from `weft/core/schemas/*.json`."""
    return EventTypeCatalogue(_read(name) for name in BUILT_IN)


def plain_type(name: str) -> EventType:
    """A type named in the configuration without a schema: any object is fine."""
    schema = {"$schema": JSON_SCHEMA_DIALECT, "type": "object"}
    return EventType(name=name, version=1, description="Named in the configuration.", schema=schema)


def _read(name: str) -> EventType:
    text = files("weft.core").joinpath("schemas", f"{name}.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    return EventType(
        name=name,
        version=schema["x-version"],
        description=schema["description"],
        schema=schema,
        enforced=schema.get("x-enforced", False),
    )
