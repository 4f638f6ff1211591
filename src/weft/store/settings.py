"""Settings of the store room (`WEFT_STORE__…`)."""

from pydantic import BaseModel, ConfigDict, Field

from weft.core.times import SECOND_US

MEBIBYTE = 1024 * 1024


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

    def cutoff_us(self, topic: str, now_us: int) -> int | None:
        """Events of the topic before this moment are past their retention; None where they are kept."""
        age_s = self.retention_by_topic_s.get(topic, self.retention_s)
        return None if age_s is None else now_us - int(age_s * SECOND_US)
