"""The store on PostgreSQL: one table in monthly partitions, filled by COPY, with the log's positions beside it."""

from weft.store.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
