"""Settings of the log on RabbitMQ."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RabbitmqSettings(BaseModel):
    """How the log uses RabbitMQ, where `app.log_url` is an `amqp://` or `amqps://` address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: str = Field(
        default="weft", min_length=1, max_length=64, description="First word of the names of the streams that keep the log."
    )
    exchange_events: str = Field(
        default="events", min_length=1, max_length=127, description="Topic exchange that every accepted event passes."
    )
    exchange_analytics: str = Field(
        default="analytics", min_length=1, max_length=127, description="Topic exchange for events of the topic 'analytics'."
    )
    exchange_alerts: str = Field(
        default="alerts", min_length=1, max_length=127, description="Topic exchange for events of the topic 'alerts'."
    )
    max_connections: int = Field(
        default=10, ge=2, description="Most connections one process opens to the broker; it needs two, whatever the load."
    )
    heartbeat_s: int = Field(
        default=600,
        ge=0,
        description="Seconds between heartbeats agreed with the broker, 0 for none. A dead connection is found out sooner than "
        "that: see timeout_s.",
    )
    timeout_s: float = Field(
        default=10.0,
        gt=0,
        description="Seconds the broker may take to answer; after that it counts as away and is connected to anew.",
    )
    retry_max_s: float = Field(default=2.0, gt=0, description="Longest pause in seconds between two attempts to connect.")
    replicas: int = Field(
        default=1,
        ge=1,
        description="How many nodes of a cluster keep each stream. With one, what is acknowledged survives the death of every "
        "process but not a power cut of that node.",
    )
    max_stream_bytes: int | None = Field(
        default=None,
        gt=0,
        description="Bytes beyond which RabbitMQ removes the oldest segments of a partition's stream, whether or not they were "
        "read; none: only log.retention_age_s removes anything.",
    )
    queues: Literal["consumed", "always", "never"] = Field(
        default="consumed",
        description="When the queues events.analytics, events.storage, events.dashboard and alerts.engine are bound to their "
        "exchanges: once somebody consumes from one, at once, or never. A bound queue that is full makes appends Busy.",
    )
    queue_kind: Literal["quorum", "classic"] = Field(default="quorum", description="Kind of those queues in RabbitMQ.")
    queue_max_length: int = Field(default=100_000, ge=1, description="Events that each of them holds before it is full.")
    queue_ttl_ms: int = Field(
        default=86_400_000,
        ge=1,
        description="Milliseconds after which an event that nobody took leaves such a queue for the dead-letter exchange.",
    )
