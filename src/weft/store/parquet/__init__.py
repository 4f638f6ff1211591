"""The embedded store: Parquet files, a manifest in SQLite, and DuckDB in memory to ask them."""

from weft.store.parquet.store import ParquetStore

__all__ = ["ParquetStore"]
