"""TimescaleDB, where it is installed: `events` as a hypertable, compressed after a while, with the hourly figures kept ready.

Only these statements differ; everything that writes and asks is the same for a hypertable and for monthly partitions.
"""

from typing import Final

from weft.core.errors import Unsupported
from weft.store.postgres.connect import Link
from weft.store.postgres.schema import quoted
from weft.store.settings import PostgresSettings

HOURLY: Final = "events_hourly"


async def is_wanted(link: Link, settings: PostgresSettings) -> bool:
    """Whether new tables are to be made with the extension. Raises Unsupported where it is demanded and not there."""
    if settings.timescale == "off":
        return False
    installed = await link.value("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'") is not None
    if settings.timescale == "on" and not installed:
        raise Unsupported(
            "store.postgres.timescale is 'on' and this database has no timescaledb; run CREATE EXTENSION timescaledb in it as "
            "a superuser, or set it to 'auto'"
        )
    return installed


def hypertable_sql(settings: PostgresSettings) -> str:
    """Turns the empty table into a hypertable."""
    events = _literal(f"{quoted(settings.schema_name)}.events")
    return (
        f"SELECT create_hypertable({events}, 'timestamp', chunk_time_interval => {_days(settings.timescale_chunk_days)},"
        " create_default_indexes => false);\n"
        f"ALTER TABLE {quoted(settings.schema_name)}.events SET (timescaledb.compress,"
        " timescaledb.compress_segmentby = 'topic, source', timescaledb.compress_orderby = '\"timestamp\" DESC');\n"
        f"SELECT add_compression_policy({events}, {_days(settings.timescale_compress_days)});\n"
    )


def hourly_sql(settings: PostgresSettings) -> str:
    """Keeps the figures of `GET /metrics/historical` ready by the hour, for other tools: they lag behind late events."""
    schema = quoted(settings.schema_name)
    view = _literal(f"{schema}.{HOURLY}")
    return (
        f"CREATE MATERIALIZED VIEW {schema}.{HOURLY} WITH (timescaledb.continuous) AS\n"
        "SELECT time_bucket(INTERVAL '1 hour', \"timestamp\") AS hour, topic, count(*) AS events_total,"
        " count(DISTINCT user_id) AS unique_users, count(*) FILTER (WHERE type = 'error') AS error_count\n"
        f"FROM {schema}.events GROUP BY 1, 2 WITH NO DATA;\n"
        f"SELECT add_continuous_aggregate_policy({view}, start_offset => INTERVAL '3 days',"
        " end_offset => INTERVAL '1 hour', schedule_interval => INTERVAL '15 minutes');\n"
    )


def chunks_sql() -> str:
    """The chunks of a hypertable and when they end. Parameters: schema."""
    return (
        "SELECT format('%I.%I', chunk_schema, chunk_name), range_end FROM timescaledb_information.chunks"
        " WHERE hypertable_schema = $1 AND hypertable_name = 'events' ORDER BY range_end"
    )


def size_sql(settings: PostgresSettings) -> str:
    """Bytes of a hypertable, compressed chunks included."""
    return f"coalesce(hypertable_size({_literal(f'{quoted(settings.schema_name)}.events')}), 0)::bigint"


def _days(days: int) -> str:
    return f"INTERVAL '{days} days'"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
