"""Settings of reading back. Environment: `WEFT_QUERY__<FIELD>`."""

from pydantic import BaseModel, ConfigDict, Field


class QuerySettings(BaseModel):
    """How much questions and live feeds may cost, so that they never starve ingest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_concurrent: int = Field(default=4, ge=1, description="Questions answered at the same time; further ones wait.")
    max_waiting: int = Field(default=64, ge=0, description="Questions that may wait; one more is refused with 503.")
    timeout_s: float = Field(
        default=15.0, gt=0, description="Seconds a question may wait and work before it is given up with 504."
    )
    max_skip: int = Field(
        default=1_000_000, ge=0, description="Events that page times limit may step over; beyond it, use cursors."
    )
    export_page_events: int = Field(default=10_000, ge=1, le=10_000, description="Events an export holds in memory at a time.")

    realtime_window_s: int = Field(
        default=60, ge=1, le=3600, description="Seconds that events_per_second, error_rate and response_time_avg look back."
    )
    active_users_window_s: int = Field(default=300, ge=1, le=86_400, description="Seconds that active_users looks back.")
    realtime_every_s: float = Field(default=1.0, gt=0, description="Seconds between two computations of the realtime metrics.")
    realtime_max_share: float = Field(
        default=0.2, gt=0, le=1, description="Largest share of the time that computing realtime metrics may take."
    )

    feed_memory_bytes: int = Field(
        default=16 * 1024 * 1024, ge=1024, description="Bytes of newest batches kept in memory for the feed of one topic."
    )
    feed_max_topics: int = Field(default=16, ge=1, description="Topics that are fed live at the same time.")
    feed_linger_s: float = Field(
        default=10.0,
        ge=0,
        description="Seconds a topic's newest batches are kept after its last reader left.",
    )
    feed_max_readers: int = Field(default=1_000, ge=1, description="Feeds open at the same time; one more is refused with 503.")
    feed_chunk_bytes: int = Field(
        default=256 * 1024, ge=1024, description="Bytes sent to one reader at a time (one batch of the log at least)."
    )
    feed_max_share: float = Field(
        default=0.3, gt=0, lt=1, description="Largest share of one core that preparing live feeds may take."
    )
    feed_heartbeat_s: float = Field(default=15.0, gt=0, description="Seconds of silence after which a feed sends a heartbeat.")
    feed_recheck_s: float = Field(
        default=60.0, gt=0, description="Seconds between two looks whether the reader of a feed may still read."
    )
    feed_send_timeout_s: float = Field(
        default=30.0, gt=0, description="Seconds a reader may refuse to take data before its feed is cut."
    )

    live_max_views: int = Field(
        default=128, ge=1, description="Different views (topic, filter, rate) shown live at the same time; one more is refused."
    )
    live_max_subscriptions: int = Field(default=64, ge=1, description="Subscriptions one socket may hold.")
    live_backlog_events: int = Field(
        default=10_000,
        ge=0,
        description="Events a live reader may be behind and still get all of them; beyond it gets the newest of each kind, "
        "source and subject, and a gap.",
    )
    live_memory_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="Bytes of newest events kept in memory for all live views together."
    )
    live_snapshot_events: int = Field(
        default=10_000, ge=1, description="Events of each partition that a snapshot looks back; alerts are looked up in all."
    )

    erase_timeout_s: float = Field(
        default=60.0, gt=0, description="Seconds an erasure waits for the store to have read all that stood in the log."
    )
    lag_look_s: float = Field(
        default=60.0, gt=0, description="Seconds the store may be behind the log before the verdict says so."
    )
    lag_act_s: float = Field(
        default=600.0, gt=0, description="Seconds the store may be behind the log before the verdict asks to act."
    )
