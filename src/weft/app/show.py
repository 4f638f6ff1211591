"""The configuration as a person or a program reads it: every field with its value and origin, secrets masked."""

import re
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final, cast

import yaml
from pydantic import BaseModel, SecretStr

from weft.app.config import Configuration
from weft.app.settings import Settings
from weft.app.tree import Path, description_of, fields, is_secret, value_at, variable_of

MASK: Final = "********"
_PASSWORD_IN_URL: Final = re.compile(r"(?<=://)([^/@\s:]*):([^@\s]*)@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One field as it stands."""

    field: str
    value: Any
    origin: str
    variable: str
    description: str


def show(configuration: Configuration, *, changed: bool = False) -> list[dict[str, Any]]:
    """Every field in the order of the tree, or only those somebody gave."""
    return [
        asdict(
            Shown(
                field=".".join(path),
                value=_visible(value_at(configuration.settings, path), path),
                origin=configuration.origin(path).name,
                variable=variable_of(path),
                description=description_of(path),
            )
        )
        for path in _every_field(configuration)
        if not changed or configuration.origin(path).kind != "default"
    ]


def example() -> str:
    """A config.yaml that holds every field with its default, each commented out."""
    lines = [
        "# Weft's configuration. Every line shows a default; to change one, remove its '#'.",
        "# The environment (WEFT_<SECTION>__<FIELD>) wins over this file, flags of the command line win over both.",
    ]
    above: Path = ()
    for path in fields():
        lines.extend(_section_lines(path[:-1], above))
        above = path[:-1]
        indent = "  " * len(path[:-1])
        lines.append(f"{indent}# {description_of(path)}")
        lines.append(f"{indent}#{path[-1]}: {_yaml(_default(path))}")
    return "\n".join(lines) + "\n"


def _every_field(configuration: Configuration) -> Iterator[Path]:
    known = list(fields())
    yield from known
    yield from sorted(path for path in configuration.origins if path not in known and not _is_above(path, known))


def _is_above(path: Path, known: list[Path]) -> bool:
    return any(field[: len(path)] == path for field in known)


def _section_lines(section: Path, above: Path) -> Iterator[str]:
    for depth in range(len(section)):
        if section[: depth + 1] != above[: depth + 1]:
            if depth == 0:
                yield ""
            yield f"{'  ' * depth}{section[depth]}:"


def _default(path: Path) -> object:
    return _visible(value_at(Settings(), path), path)


def _visible(value: object, path: Path) -> Any:
    if isinstance(value, SecretStr) or (is_secret(path) and value):
        return MASK
    if isinstance(value, list | tuple | set | frozenset):
        return [_visible(part, path) for part in cast("Collection[object]", value)]
    if isinstance(value, dict):
        return {str(key): _visible(part, path) for key, part in cast("dict[object, object]", value).items()}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, bool | int | float) or value is None:
        return value
    return _PASSWORD_IN_URL.sub(rf"\1:{MASK}@", str(value))


def _yaml(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...").removesuffix("...").strip()
