"""Reads the configuration: flags over environment over YAML over defaults, and remembers where each value came from."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final, Literal, cast

import yaml
from pydantic import ValidationError

from weft.app import aliases
from weft.app.settings import Settings
from weft.app.tree import (
    LISTS,
    PREFIX,
    STRUCTURED,
    Path,
    annotation_at,
    default_at,
    is_secret,
    is_section,
    kinds_of,
    suggestion,
)
from weft.core.errors import Invalid, NotFound

Kind = Literal["default", "file", "environment", "flag"]

NOT_SETTINGS: Final = frozenset({"WEFT_CONFIG", "WEFT_TOKEN", "WEFT_URL"})
"""Variables of the command line that are no settings."""
DEFAULT_FILE: Final = FilePath("config.yaml")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: its kind and the name a person would look for."""

    kind: Kind
    name: str


DEFAULT: Final = Origin("default", "default")


@dataclass(frozen=True, slots=True)
class Given:
    """One value as somebody gave it. `implied_by` is the field that a name of an earlier system stands for, where it only has
    a say in this one."""

    path: Path
    value: Any
    origin: Origin
    implied_by: Path | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings, and for each field that was given where from."""

    settings: Settings
    origins: Mapping[Path, Origin] = field(default_factory=dict[Path, Origin])
    file: FilePath | None = None

    def origin(self, path: Path) -> Origin:
        """Where a field's value came from; a mapping given whole counts for what is in it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return DEFAULT


class ConfigurationError(Invalid):
    """The configuration cannot be used; `problems` says everything that is wrong, one sentence each."""

    def __init__(self, problems: Sequence[str]) -> None:
        listing = problems[0] if len(problems) == 1 else "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(f"the configuration cannot be used: {listing}", problems=list(problems))
        self.problems = list(problems)


def load_configuration(
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str],
    file: FilePath | None = None,
) -> Configuration:
    """Settings from every place. `flags` maps dotted fields to values; None there means not given.

    Raises ConfigurationError with every problem, NotFound for a file that was named and is not there.
    """
    problems: list[str] = []
    chosen = _chosen_file(file, environ)
    layers = (
        list(_from_file(chosen, problems)) if chosen else [],
        list(_from_environment(environ, problems)),
        [
            Given(tuple(name.split(".")), value, Origin("flag", f"--{name.rsplit('.', 1)[-1].replace('_', '-')}"))
            for name, value in (flags or {}).items()
            if value is not None
        ],
    )
    said: dict[Path, Given] = {}
    for layer in layers:
        said.update(_without_contradictions([given for given in layer if given.implied_by is None], problems))
    values = _implied(layers, said) | said
    settings = _validated(values, problems)
    if problems or settings is None:
        raise ConfigurationError(problems)
    return Configuration(settings, {path: given.origin for path, given in values.items()}, chosen)


def _implied(layers: Sequence[Sequence[Given]], said: Mapping[Path, Given]) -> dict[Path, Given]:
    """What follows from the names of earlier systems that won: one that was overruled has no say in anything."""
    return {
        given.path: given
        for layer in layers
        for given in layer
        if given.implied_by is not None and said[given.implied_by].origin == given.origin
    }


def _chosen_file(file: FilePath | None, environ: Mapping[str, str]) -> FilePath | None:
    named = file or (FilePath(environ["WEFT_CONFIG"]) if environ.get("WEFT_CONFIG") else None)
    if named is None:
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    if not named.is_file():
        raise NotFound(f"there is no configuration file {named}; `weft init` writes one")
    return named


def _from_file(file: FilePath, problems: list[str]) -> Iterator[Given]:
    try:
        tree: object = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as unreadable:
        problems.append(f"{file} is not readable YAML: {unreadable}")
        return
    if tree is None:
        return
    if not isinstance(tree, dict):
        problems.append(f"{file} must hold a mapping of sections, such as 'app:'")
        return
    yield from _leaves(cast("object", tree), (), Source("file", lambda path: f"{'.'.join(path)} in {file}"), problems)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a tree of values came from, and what a person would call each of them there."""

    kind: Kind
    name: Callable[[Path], str]


def _leaves(tree: object, above: Path, source: Source, problems: list[str]) -> Iterator[Given]:
    """The values of a section, each by itself."""
    if not isinstance(tree, dict):
        problems.append(f"{source.name(above)} is a section; it holds settings of its own, not a value")
        return
    for key, value in cast("dict[object, object]", tree).items():
        path = (*above, str(key))
        alias = aliases.YAML.get(".".join(path))
        is_group = is_section(path) or _is_alias_section(".".join(path))
        if alias is not None:
            yield from _by_alias(alias, value, Origin(source.kind, source.name(path)))
        elif is_group and value is None:
            continue  # a section of which everything is commented out
        elif is_group:
            yield from _leaves(value, path, source, problems)
        elif annotation_at(path) is None:
            reason = aliases.NOT_HERE.get(".".join(path)) or suggestion(path)
            problems.append(f"{source.name(path)} is not a setting; {reason}")
        else:
            yield Given(path, value, Origin(source.kind, source.name(path)))


def _by_alias(alias: aliases.Alias, value: Any, origin: Origin) -> Iterator[Given]:
    yield Given(alias.path, alias.value_of(value), origin)
    for implied in alias.implies:
        converted = implied.value_of(value)
        if converted is not None:
            yield Given(implied.path, converted, origin, implied_by=alias.path)


def _is_alias_section(name: str) -> bool:
    return any(known.startswith(f"{name}.") for known in aliases.YAML)


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> Iterator[Given]:
    for name, text in sorted(environ.items()):
        alias = aliases.ENVIRONMENT.get(name)
        if alias is not None and text:  # empty is how compose files and shells pass on what nobody set
            yield from _by_alias(alias, _decoded(text, alias.path), Origin("environment", name))
        elif alias is not None:
            continue
        elif name.startswith(PREFIX) and name not in NOT_SETTINGS:
            path = tuple(part.lower() for part in name.removeprefix(PREFIX).split("__"))
            if annotation_at(path) is None:
                problems.append(f"{name} is not a setting; {suggestion(path, variable=True)}")
            elif is_section(path):
                yield from _leaves(_decoded(text, path), path, Source("environment", lambda _, name=name: name), problems)
            else:
                yield Given(path, _decoded(text, path), Origin("environment", name))


def _decoded(text: str, path: Path) -> Any:
    """A variable's text as the field's kind of value: comma lists for lists, JSON for mappings, '' for none where allowed."""
    kinds = kinds_of(annotation_at(path))
    if text == "" and type(None) in kinds:
        return None
    if text[:1] in "[{" and any(issubclass(kind, STRUCTURED) for kind in kinds):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    if any(issubclass(kind, LISTS) for kind in kinds):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _without_contradictions(layer: Sequence[Given], problems: list[str]) -> dict[Path, Given]:
    """One value per field; two names of one place that disagree are a problem that names both."""
    values: dict[Path, Given] = {}
    for given in layer:
        other = values.get(given.path)
        if other is not None and not _agree(other.value, given.value):
            problems.append(
                f"{other.origin.name} and {given.origin.name} are two names for {'.'.join(given.path)} and disagree; keep one"
            )
        values.setdefault(given.path, given)
    return values


def _agree(one: object, other: object) -> bool:
    try:
        return float(cast("Any", one)) == float(cast("Any", other))
    except (TypeError, ValueError):
        return str(one) == str(other)


def _validated(values: Mapping[Path, Given], problems: list[str]) -> Settings | None:
    tree: dict[str, Any] = {}
    for path, given in values.items():
        branch = tree
        for depth, name in enumerate(path[:-1], start=1):
            branch = branch.setdefault(name, default_at(path[:depth]))
        branch[path[-1]] = given.value
    try:
        return Settings.model_validate(tree)
    except ValidationError as invalid:
        problems.extend(
            _problem(tuple(str(part) for part in error["loc"]), error["msg"], error["input"], values)
            for error in invalid.errors(include_url=False, include_context=False)
        )
        return None


def _problem(location: Path, message: str, value: object, values: Mapping[Path, Given]) -> str:
    for length in range(len(location), 0, -1):
        given = values.get(location[:length])
        if given is not None:
            shown = "the value given" if is_secret(given.path) else f"'{value}'"
            return f"{given.origin.name}: {shown} cannot be used; {message[:1].lower()}{message[1:]}"
    name = ".".join(location) or "the whole"
    return f"{name}: {message.removeprefix('Value error, ')}"
