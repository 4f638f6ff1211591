"""What the tree of settings knows about itself: which fields there are, of which kind, under which names."""

import difflib
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from pydantic import BaseModel, SecretStr

from weft.app.settings import Settings

Path = tuple[str, ...]
PREFIX: Final = "WEFT_"

LISTS: Final = (list, tuple, set, frozenset)
STRUCTURED: Final = (*LISTS, dict, Mapping)


def kinds_of(annotation: object | None) -> list[type[Any]]:
    """The plain classes an annotation allows: `tuple[str, ...] | None` is [tuple, NoneType]."""
    return [kind for kind, _ in _alternatives(annotation)]


def annotation_at(path: Path) -> object | None:
    """The annotation of a field, or None where there is no such field. Inside a mapping of sections any name will do."""
    annotation: object | None = Settings
    for name in path:
        annotation = _member(annotation, name)
    return annotation


def is_section(path: Path) -> bool:
    """Whether a field has fields of its own."""
    annotation = annotation_at(path)
    return _model_of(annotation) is not None or _entry_of(annotation) is not None


def default_at(path: Path) -> dict[str, Any]:
    """What a section of named entries holds when nobody says anything; {} for everything else."""
    if _entry_of(annotation_at(path)) is None:
        return {}
    value: Any = Settings.model_construct()
    for name in path:
        value = getattr(value, name)
    return {name: entry.model_dump() for name, entry in value.items()}


def _member(annotation: object | None, name: str) -> object | None:
    model = _model_of(annotation)
    if model is not None:
        return model.model_fields[name].annotation if name in model.model_fields else None
    return _entry_of(annotation)


def _model_of(annotation: object | None) -> type[BaseModel] | None:
    return next((kind for kind in kinds_of(annotation) if issubclass(kind, BaseModel)), None)


def _entry_of(annotation: object | None) -> type[BaseModel] | None:
    """The model of a mapping's values, for `dict[str, RateLimit]`."""
    for kind, arguments in _alternatives(annotation):
        if kind is dict and len(arguments) == 2 and _model_of(arguments[1]) is not None:
            return _model_of(arguments[1])
    return None


def _alternatives(annotation: object | None) -> list[tuple[type[Any], tuple[object, ...]]]:
    if annotation is None:
        return []
    origin: object = typing.get_origin(annotation)
    arguments: tuple[object, ...] = typing.get_args(annotation)
    if origin is typing.Annotated:
        return _alternatives(arguments[0])
    if origin is typing.Union or origin is types.UnionType:
        return [found for part in arguments for found in _alternatives(part)]
    kind = origin or annotation
    return [(cast("type[Any]", kind), arguments)] if isinstance(kind, type) else []


def fields(model: type[BaseModel] = Settings, above: Path = ()) -> Iterator[Path]:
    """Every field of the tree in order. A section of named entries counts with the entries it has by default."""
    for name, info in model.model_fields.items():
        path = (*above, name)
        section = _model_of(info.annotation)
        entry = _entry_of(info.annotation)
        if section is not None:
            yield from fields(section, path)
        elif entry is not None:
            for key in default_at(path):
                yield from fields(entry, (*path, key))
        else:
            yield path


def description_of(path: Path) -> str:
    """What a field is for."""
    model = _model_of(annotation_at(path[:-1])) if path[:-1] else Settings
    return (model.model_fields[path[-1]].description or "") if model is not None else ""


def value_at(settings: Settings, path: Path) -> object:
    """A field's value."""
    value: object = settings
    for name in path:
        value = cast("dict[str, object]", value)[name] if isinstance(value, dict) else cast("object", getattr(value, name))
    return value


def is_secret(path: Path) -> bool:
    """Whether a field's value must never be shown."""
    return _mentions_secret(annotation_at(path))


def _mentions_secret(annotation: object | None) -> bool:
    return annotation is SecretStr or any(_mentions_secret(part) for part in typing.get_args(annotation))


def suggestion(path: Path, *, variable: bool = False) -> str:
    """What a person may have meant by a name that is no field."""
    known = {".".join(candidate): candidate for candidate in fields()}
    close = difflib.get_close_matches(".".join(path), known, n=1, cutoff=0.75)
    if not close:
        return "`weft config show` lists them all"
    return f"did you mean {variable_of(known[close[0]]) if variable else close[0]}?"


def variable_of(path: Path) -> str:
    """The environment variable of a field."""
    return PREFIX + "__".join(path).upper()
