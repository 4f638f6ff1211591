"""The query engine: DuckDB in memory, reading the store's files and the tail; it can reach nothing else.

One cursor per thread. User text reaches it only as parameters.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from weft.core.errors import Corrupt, TimedOut, Unavailable
from weft.store.settings import StoreSettings

_FIXED: Final = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "preserve_insertion_order": "false",
}


class FilesGone(Exception):
    """A file the view names is not there any more: another process merged or removed it. Look again."""


class Engine:
    """Answers SQL over files and Arrow tables."""

    def __init__(self, folder: Path, spill: Path, settings: StoreSettings) -> None:
        self._timeout_ms = int(settings.question_timeout_s * 1000)
        self._threads = threading.local()
        options: dict[str, str | bool | int | float | list[str]] = {
            **_FIXED,
            "memory_limit": f"{settings.engine_memory_bytes}B",
            "temp_directory": str(spill),
        }
        if settings.engine_threads is not None:
            options["threads"] = str(settings.engine_threads)
        self._database = duckdb.connect(":memory:", config=options)
        self._database.execute("SET parquet_metadata_cache = true")
        self._database.execute(f"SET max_execution_time = {self._timeout_ms}")
        self._database.execute("SET TimeZone = 'UTC'")
        quoted = str(folder).replace("'", "''")
        self._database.execute(f"SET allowed_directories = ['{quoted}/']")
        self._database.execute("SET enable_external_access = false")
        self._database.execute("SET lock_configuration = true")

    def close(self) -> None:
        """Close the engine."""
        self._database.close()

    def rows(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any], tables: Mapping[str, pa.Table] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement in the calling thread. Raises FilesGone, TimedOut, Corrupt or Unavailable."""
        cursor = self._cursor()
        for name, table in (tables or {}).items():
            cursor.register(name, table)
        try:
            return cursor.execute(sql, parameters).fetchall()
        except duckdb.Error as failed:
            raise self._translated(failed) from failed
        finally:
            for name in tables or {}:
                cursor.unregister(name)

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._threads, "cursor", None)
        if cursor is None:
            cursor = self._threads.cursor = self._database.cursor()
        return cursor

    def _translated(self, failed: duckdb.Error) -> Exception:
        text = str(failed)
        if isinstance(failed, duckdb.IOException) and (
            "No files found" in text or "No such file" in text or "Cannot open" in text
        ):
            return FilesGone(text)
        if isinstance(failed, duckdb.InterruptException):
            return TimedOut(
                f"the question took longer than {self._timeout_ms} ms and was stopped; ask for a shorter time range"
            )
        if isinstance(failed, duckdb.OutOfMemoryException):
            return Unavailable("the question needs more memory than store.engine_memory_bytes; ask for a shorter time range")
        if isinstance(failed, (duckdb.InvalidInputException, duckdb.IOException)) and "arquet" in text:
            return Corrupt(f"a file of the store cannot be read: {text}")
        return Unavailable(f"the question could not be answered: {text}")
