"""The tables: their SQL, and making them once, whoever comes first.

`events` is partitioned by month; `event_ids` remembers the ids that clients gave; `event_positions` holds, for each partition
of the log, how far it was stored and where every offset went, and changes in the same transactions as the events.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from weft.core.errors import Unsupported
from weft.store.postgres.connect import Link

VERSION: Final = 1

EVENT_COLUMNS: Final = (
    "timestamp",
    "received_at",
    "offset",
    "partition",
    "topic",
    "id",
    "type",
    "source",
    "severity",
    "subject",
    "user_id",
    "session_id",
    "correlation_id",
    "tags",
    "data",
    "metadata",
    "as_given",
)
"""In the order of the table, the fixed widths first, so that no row holds padding."""

_TABLES: Final = """
CREATE TABLE {schema}.events (
    "timestamp" timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    "offset" bigint NOT NULL,
    "partition" integer NOT NULL,
    topic text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    severity text COLLATE "C" NOT NULL,
    subject text COLLATE "C",
    user_id text COLLATE "C",
    session_id text COLLATE "C",
    correlation_id text COLLATE "C",
    tags text[] COLLATE "C" NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    as_given text
){partitioning};
COMMENT ON COLUMN {schema}.events.as_given IS 'what jsonb or an index cannot hold exactly, as it was sent; mostly null';
CREATE TABLE {schema}.event_ids (key bytea PRIMARY KEY);
COMMENT ON TABLE {schema}.event_ids IS 'digests of (topic, source, id) of the events whose id the client gave';
CREATE TABLE {schema}.event_positions (
    topic text COLLATE "C" NOT NULL,
    "partition" integer NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    stored bigint NOT NULL DEFAULT 0,
    repeats bigint NOT NULL DEFAULT 0,
    expired bigint NOT NULL DEFAULT 0,
    ticks bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    erased bigint NOT NULL DEFAULT 0,
    retired bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, "partition")
) WITH (fillfactor = 50);
CREATE TABLE {schema}.event_rewrites (name text PRIMARY KEY);
COMMENT ON TABLE {schema}.event_rewrites IS 'tables that still hold the bytes of erased events';
CREATE TABLE {schema}.event_store (
    version integer NOT NULL,
    is_hypertable boolean NOT NULL,
    log_identity text,
    made_at timestamptz NOT NULL DEFAULT now()
);
"""

_INDEXES: Final = """
CREATE INDEX idx_events_timestamp ON {schema}.events ("timestamp");
CREATE INDEX idx_events_type ON {schema}.events (type);
CREATE INDEX idx_events_source ON {schema}.events (source);
CREATE INDEX idx_events_user_id ON {schema}.events (user_id);
CREATE INDEX idx_events_id ON {schema}.events (id);
CREATE INDEX idx_events_other_topics ON {schema}.events (topic, "timestamp") WHERE topic <> 'events';
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the tables of a store were made."""

    version: int
    is_hypertable: bool


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def lock_key(schema: str, what: str) -> int:
    """The number of an advisory lock that only stores in this schema take."""
    digest = hashlib.sha256(f"weft store {schema} {what}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


async def has_table(link: Link, schema: str, table: str) -> bool:
    """Whether there is such a table, now. `to_regclass` would answer from a cache that waiting for a lock does not renew."""
    sql = "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2"
    return await link.value(sql, schema, table) is not None


async def find_layout(link: Link, schema: str) -> Layout | None:
    """How the tables were made, or None where there are none. Raises Unsupported for those of a newer Weft."""
    if not await has_table(link, schema, "event_store"):
        return None
    rows = await link.rows(f"SELECT version, is_hypertable FROM {quoted(schema)}.event_store")
    if not rows:
        return None
    layout = Layout(*rows[0])
    if layout.version > VERSION:
        raise Unsupported(
            f"the tables in schema {schema} were made by a newer Weft (layout {layout.version}, this one knows {VERSION}); "
            "upgrade this one"
        )
    return layout


async def make_tables(link: Link, schema: str, *, hypertable_sql: str | None, after_sql: str | None = None) -> Layout:
    """Make the tables unless they are there. Several processes may do so at once; one does it and the others wait.

    `hypertable_sql` turns `events` into a hypertable in place of declaring monthly partitions; `after_sql` runs last.
    """
    async with link.transaction():
        await link.run("SELECT pg_advisory_xact_lock($1)", lock_key(schema, "tables"))
        layout = await find_layout(link, schema)
        if layout is not None:
            return layout
        if schema != "public":
            await link.run(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
        partitioning = ' PARTITION BY RANGE ("timestamp")' if hypertable_sql is None else ""
        await link.run(_TABLES.format(schema=quoted(schema), partitioning=partitioning))
        if hypertable_sql is not None:
            await link.run(hypertable_sql)
        await link.run(_INDEXES.format(schema=quoted(schema)))
        if after_sql is not None:
            await link.run(after_sql)
        layout = Layout(VERSION, hypertable_sql is not None)
        await link.run(
            f"INSERT INTO {quoted(schema)}.event_store (version, is_hypertable) VALUES ($1, $2)",
            layout.version,
            layout.is_hypertable,
        )
        return layout
