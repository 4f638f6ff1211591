"""A scan: the files and the part of the tail that a question needs, as one SQL source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from weft.core.columns import EVENT_SCHEMA
from weft.core.times import HOUR_US
from weft.store.parquet.conditions import Parameters, conditions, is_inside, may_hold, within
from weft.store.parquet.layout import StoredFile
from weft.store.parquet.shelf import View
from weft.store.parquet.tail import Chunk
from weft.store.query import Filter

TAIL: Final = "tail"
HOUR: Final = "{hour}"
HIVE_TYPES: Final = "{'topic': VARCHAR, 'date': DATE, 'hour': BIGINT}"
HOUR_OF_FOLDER: Final = f"(epoch_us(date::TIMESTAMP) + hour * {HOUR_US})"
HOUR_OF_TIME: Final = f"(epoch_us(time) - ((epoch_us(time) % {HOUR_US}) + {HOUR_US}) % {HOUR_US})"


@dataclass(frozen=True, slots=True)
class Scan:
    """Where to look for the events of a filter."""

    folder: Path
    asked: Filter
    files: Sequence[StoredFile]
    chunks: Sequence[Chunk]
    """Events in memory: of the tail, or read from pages."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nowhere to look."""
        return not self.files and not self.chunks

    @property
    def tables(self) -> dict[str, pa.Table]:
        """The Arrow tables its SQL names."""
        if not self.chunks:
            return {}
        return {TAIL: pa.Table.from_batches([chunk.events.select(EVENT_SCHEMA.names) for chunk in self.chunks])}

    def split(self) -> "tuple[list[StoredFile], Scan]":
        """The files whose events all lie in the range and in one hour, so that nobody needs to look at their times; and the
        rest."""
        whole = [file for file in self.files if file.in_one_hour and is_inside(file, self.asked)]
        others = [file for file in self.files if not (file.in_one_hour and is_inside(file, self.asked))]
        return whole, replace(self, files=others)

    def sql(self, columns: str, parameters: Parameters, more: str = "true") -> str:
        """A SELECT of the columns of all matching events. Not to be asked when empty.

        Columns are expressions over event columns, and over HOUR, which stands for the start of the hour an event lies in: that
        of a file of one hour is in its path and costs nothing.
        """
        wanted = f"({conditions(self.asked, parameters)}) AND ({more})"
        whole, others = self.split()
        timed = wanted if others.is_empty else f"{wanted} AND ({within(self.asked, parameters)})"
        parts: list[str] = []
        if whole:
            source = f"read_parquet({parameters.add(self._paths(whole))}, hive_types = {HIVE_TYPES})"
            parts.append(f"SELECT {columns.replace(HOUR, HOUR_OF_FOLDER)} FROM {source} WHERE {wanted}")
        if others.files:
            source = f"read_parquet({parameters.add(self._paths(others.files))}, hive_partitioning = false)"
            parts.append(f"SELECT {columns.replace(HOUR, HOUR_OF_TIME)} FROM {source} WHERE {timed}")
        if self.chunks:
            parts.append(f"SELECT {columns.replace(HOUR, HOUR_OF_TIME)} FROM {TAIL} WHERE {timed}")
        return " UNION ALL ".join(parts)

    def _paths(self, files: Sequence[StoredFile]) -> list[str]:
        return [str(self.folder / file.path) for file in files]


def floored(time: str, width: str | int) -> str:
    """SQL for the start of the interval a time lies in, also before 1970."""
    return f"{time} - (({time} % {width}) + {width}) % {width}"


def scan_for(folder: Path, view: View, asked: Filter) -> Scan:
    """The scan of a view for a filter."""
    files = [file for file in view.files if may_hold(file, asked)]
    return Scan(folder, asked, files, view.tail.within(asked.topic, asked.start_us, asked.end_us))
