"""The embedded log: SQLite files, one folder per partition."""

from weft.log.sqlite.log import SqliteLog

__all__ = ["SqliteLog"]
