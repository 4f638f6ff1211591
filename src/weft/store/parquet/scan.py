"""A scan: the files and the part of the tail that a question needs, as one SQL source."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from weft.core.columns import EVENT_SCHEMA
from weft.store.parquet.conditions import Parameters, conditions, may_hold
from weft.store.parquet.layout import StoredFile
from weft.store.parquet.shelf import View
from weft.store.query import Filter

TAIL: str = "tail"


@dataclass(frozen=True, slots=True)
class Scan:
    """Where to look for the events of a filter."""

    folder: Path
    asked: Filter
    files: Sequence[StoredFile]
    tail: pa.Table | None

    @property
    def is_empty(self) -> bool:
        """Whether there is nowhere to look."""
        return not self.files and self.tail is None

    @property
    def tables(self) -> dict[str, pa.Table]:
        """The Arrow tables its SQL names."""
        return {} if self.tail is None else {TAIL: self.tail}

    def sql(self, columns: str, parameters: Parameters, more: str = "true") -> str:
        """A SELECT of the columns (expressions over event columns) of all matching events. Not to be asked when empty."""
        parts: list[str] = []
        wanted = f"({conditions(self.asked, parameters)}) AND ({more})"
        if self.files:
            paths = parameters.add([str(self.folder / file.path) for file in self.files])
            source = f"read_parquet({paths}, hive_partitioning = false)"
            parts.append(f"SELECT {columns} FROM {source} WHERE {wanted}")
        if self.tail is not None:
            parts.append(f"SELECT {columns} FROM {TAIL} WHERE {wanted}")
        return " UNION ALL ".join(parts)


def scan_for(folder: Path, view: View, asked: Filter) -> Scan:
    """The scan of a view for a filter."""
    files = [file for file in view.files if may_hold(file, asked)]
    tail = view.tail.table(asked.topic, asked.start_us, asked.end_us)
    if tail is not None:
        tail = tail.select(EVENT_SCHEMA.names)
    return Scan(folder, asked, files, tail)
