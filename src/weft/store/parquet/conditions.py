"""From a filter to SQL conditions. Names come from fixed lists, values are always parameters."""

from collections.abc import Sequence
from typing import Any

from weft.store.asking import path_of
from weft.store.parquet.layout import StoredFile
from weft.store.query import Filter
from weft.store.terms import texts_of


class Parameters:
    """Collects values; `add` gives the placeholder that stands for one."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, value: Any) -> str:
        """The placeholder for a value."""
        self.values.append(value)
        return f"${len(self.values)}"


def json_path(field: str) -> str:
    """The JSON path of `data.<path>`. Raises Invalid for a path with other characters than names have."""
    return "$" + "".join(f'."{segment}"' for segment in path_of(field))


def conditions(asked: Filter, parameters: Parameters) -> str:
    """What an event must fulfil besides the range of time, as SQL."""
    parts = [_one_of(column, values, parameters) for column, values in texts_of(asked)]
    if asked.tag is not None:
        parts.append(f"list_contains(tags, {parameters.add(asked.tag)})")
    parts += [_data(path, value, parameters) for path, value in asked.data]
    return " AND ".join(parts) or "true"


def within(asked: Filter, parameters: Parameters) -> str:
    """The range of time, as SQL."""
    parts: list[str] = []
    if asked.start_us is not None:
        parts.append(f"time >= make_timestamptz({parameters.add(asked.start_us)}::BIGINT)")
    if asked.end_us is not None:
        parts.append(f"time < make_timestamptz({parameters.add(asked.end_us)}::BIGINT)")
    return " AND ".join(parts) or "true"


def _one_of(column: str, values: Sequence[str], parameters: Parameters) -> str:
    if not values:
        return "false"
    return f"{column} IN ({', '.join(parameters.add(value) for value in values)})"


def _data(path: str, value: str | float | bool, parameters: Parameters) -> str:
    place = parameters.add(json_path(path))
    if isinstance(value, bool):
        return f"json_extract(data, {place})::VARCHAR = {parameters.add(str(value).lower())}"
    if isinstance(value, str):
        return f"(json_type(data, {place}) = 'VARCHAR' AND json_extract_string(data, {place}) = {parameters.add(value)})"
    return f"TRY_CAST(json_extract(data, {place})::VARCHAR AS DOUBLE) = {parameters.add(float(value))}"


def may_hold(file: StoredFile, asked: Filter) -> bool:
    """Whether a file can hold matching events, as far as the manifest knows."""
    return (
        file.topic == asked.topic
        and (asked.start_us is None or file.max_us >= asked.start_us)
        and (asked.end_us is None or file.min_us < asked.end_us)
        and (asked.types is None or any(name in file.tally for name in asked.types))
        and (asked.sources is None or file.sources is None or any(name in file.sources for name in asked.sources))
    )


def is_inside(file: StoredFile, asked: Filter) -> bool:
    """Whether all times of a file are in the range."""
    return (asked.start_us is None or file.min_us >= asked.start_us) and (asked.end_us is None or file.max_us < asked.end_us)
