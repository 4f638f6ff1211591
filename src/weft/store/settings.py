"""Settings of the store room (`WEFT_STORE__…`)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from weft.core.times import SECOND_US

MEBIBYTE = 1024 * 1024


class PostgresSettings(BaseModel):
    """How the store uses PostgreSQL, where that is where it lives."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_name: str = Field(
        default="public",
        pattern=r"^[a-z_][a-z0-9_]{0,47}$",
        description="The schema that holds the tables; made where it is missing.",
    )
    pool_size: int = Field(default=5, ge=1, le=200, description="Most connections for questions, of each process.")
    write_connections: int = Field(
        default=2,
        ge=1,
        le=16,
        description="Connections that write at the same time; partitions of the log are dealt out to them.",
    )
    write_bytes: int = Field(
        default=4 * MEBIBYTE, gt=0, description="About how many bytes of events are written in one transaction."
    )
    connect_timeout_s: float = Field(default=10.0, gt=0, description="Seconds to wait for a connection.")
    write_timeout_s: float = Field(
        default=60.0, gt=0, description="A transaction that stands still for so many seconds is given up."
    )
    statement_cache_size: int = Field(
        default=100,
        ge=0,
        description="Prepared statements a connection keeps; 0 behind a pooler that hands connections around.",
    )
    months_ahead: int = Field(default=2, ge=0, le=24, description="Monthly partitions made ahead of time.")
    timescale: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether new tables use the timescaledb extension: where it is installed, always, or never.",
    )
    timescale_chunk_days: int = Field(default=7, ge=1, le=366, description="Days of events in one chunk of a hypertable.")
    timescale_compress_days: int = Field(
        default=7, ge=1, le=3660, description="Chunks of a hypertable older than so many days are compressed."
    )


class StoreSettings(BaseModel):
    """How the event store buffers, flushes, tidies up and answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flush_bytes: int = Field(default=32 * MEBIBYTE, gt=0, description="The tail is flushed when it holds this many bytes.")
    flush_age_s: float = Field(
        default=30.0, gt=0, description="The tail is flushed when its oldest event is this many seconds old."
    )
    tail_max_bytes: int = Field(
        default=128 * MEBIBYTE,
        gt=0,
        description="Most bytes the tail may hold; writes wait for a flush beyond it, or are refused.",
    )
    retry_s: float = Field(default=5.0, gt=0, description="Seconds before a failed flush is tried again.")
    tidy_every_s: float = Field(
        default=10.0, gt=0, description="Seconds between looks for small files to merge and old ones to retire."
    )
    compact_files: int = Field(default=6, ge=2, description="So many small files of one hour are merged into one.")
    compact_max_bytes: int = Field(
        default=32 * MEBIBYTE, gt=0, description="Files above this size in bytes are not merged any more."
    )
    retention_s: float | None = Field(
        default=None, gt=0, description="Events older than this many seconds are removed; none: kept."
    )
    retention_by_topic_s: dict[str, float] = Field(
        default_factory=dict[str, float], description="Retention in seconds of single topics, in place of `retention_s`."
    )
    grace_s: float = Field(
        default=10.0, ge=0, description="Seconds a replaced file stays for readers in other processes that still use it."
    )
    question_threads: int = Field(
        default=4, ge=1, le=64, description="Questions answered at the same time; others wait in line."
    )
    question_timeout_s: float = Field(default=60.0, gt=0, description="A question that takes longer is stopped.")
    engine_threads: int | None = Field(default=None, ge=1, description="Threads of the query engine; none: one per core.")
    engine_memory_bytes: int = Field(
        default=2048 * MEBIBYTE, gt=0, description="Most bytes of memory the query engine may use."
    )
    groups_max: int = Field(default=100_000, gt=0, description="Most groups an aggregation may ask for.")
    skip_max: int = Field(default=1_000_000, ge=0, description="Most events a page may skip; use a cursor beyond it.")
    limit_max: int = Field(default=10_000, gt=0, description="Most events on one page.")
    postgres: PostgresSettings = PostgresSettings()

    def cutoff_us(self, topic: str, now_us: int) -> int | None:
        """Events of the topic before this moment are past their retention; None where they are kept."""
        age_s = self.retention_by_topic_s.get(topic, self.retention_s)
        return None if age_s is None else now_us - int(age_s * SECOND_US)
