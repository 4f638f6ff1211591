"""The page of the built-in event types, read from their JSON Schemas."""

from typing import Any

from docs.generator.page import cell, header
from weft.core.event_types import built_in_catalogue


def render() -> str:
    """The page as Markdown."""
    catalogue = built_in_catalogue()
    lines = header(
        "Event types",
        "The types every Weft takes; more come by configuration. A schema describes `data`; only where it is enforced does a "
        "door check it. Names are case-sensitive, and those beginning with `weft.` are internal.",
    )
    for name in catalogue.names:
        entry = catalogue.get(name)
        checked = "checked at the door" if entry.enforced else "described, not enforced"
        lines += [f"## {name}", "", f"{entry.description} Version {entry.version}; {checked}.", ""]
        properties: dict[str, Any] = entry.schema.get("properties", {})
        if properties:
            lines += ["| field of data | type | required |", "|---|---|---|"]
            required = entry.schema.get("required", [])
            lines += [
                f"| `{field}` | {cell(_kind(schema))} | {'yes' if field in required else ''} |"
                for field, schema in properties.items()
            ]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    kind = schema.get("type", "any")
    kinds = " or ".join(kind) if isinstance(kind, list) else str(kind)
    bounds = [f"{word} {schema[key]}" for key, word in (("minimum", "at least"), ("maximum", "at most")) if key in schema]
    return ", ".join([kinds, *bounds])
