"""Settings of the log. Every field says its unit; defaults suit one machine with an ordinary disk."""

from pydantic import BaseModel, ConfigDict, Field

from weft.log.kafka.settings import KafkaSettings
from weft.log.rabbitmq.settings import RabbitmqSettings

MEBIBYTE = 1024 * 1024


class LogSettings(BaseModel):
    """How the log keeps events and how long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partitions: int = Field(
        default=8, ge=1, le=256, description="How many processes may append to one log folder, each to a partition of its own."
    )
    segment_bytes: int = Field(
        default=256 * MEBIBYTE, ge=65_536, description="Size in bytes at which a segment file is sealed and the next one begun."
    )
    segment_age_s: float = Field(
        default=86_400.0, gt=0, description="Age in seconds at which a segment file is sealed and the next one begun."
    )
    queue_bytes: int = Field(
        default=64 * MEBIBYTE, ge=1024, description="Bytes that may wait for the disk; beyond it appends are answered Busy."
    )
    group_bytes: int = Field(default=8 * MEBIBYTE, ge=1024, description="Most bytes that are made durable by one flush.")
    merge_bytes: int = Field(
        default=65_536, ge=1, description="Small appends of one topic in one flush are stored together up to this many bytes."
    )
    recent_bytes: int = Field(
        default=64 * MEBIBYTE, ge=0, description="Bytes of recent batches kept in memory for the readers of this process."
    )
    checkpoint_interval_s: float = Field(
        default=0.5, gt=0, description="Seconds between two moves of flushed pages into the segment file, off the append path."
    )
    repeat_age_s: float = Field(
        default=86_400.0, ge=0, description="Seconds for which a repeated event is recognised by its source and id."
    )
    repeat_count: int = Field(
        default=5_000_000, ge=0, description="Most events with ids of their own that are remembered to recognise repeats."
    )
    min_free_bytes: int = Field(
        default=64 * MEBIBYTE,
        ge=0,
        description="Free disk space in bytes below which events are refused; Weft's own still fit.",
    )
    reserve_bytes: int = Field(
        default=4 * MEBIBYTE,
        ge=0,
        description="Bytes set aside on disk and given up when it is full, so that its alert can be kept.",
    )
    retention_age_s: float | None = Field(
        default=7 * 86_400.0, gt=0, description="Seconds after which consumed events leave the log; none keeps them for ever."
    )
    retention_bytes: int | None = Field(
        default=10 * 1024 * MEBIBYTE,
        gt=0,
        description="Bytes beyond which the oldest consumed events leave the log; none: no limit.",
    )
    trim_interval_s: float = Field(default=60.0, gt=0, description="Seconds between two looks for what may be trimmed.")
    tick_idle_s: float = Field(
        default=10.0, gt=0, description="Seconds without an event after which a topic's time is moved on by a tick."
    )
    kafka: KafkaSettings = Field(
        default_factory=KafkaSettings, description="The log on Kafka; counts where log_url is kafka://."
    )
    rabbitmq: RabbitmqSettings = Field(
        default_factory=RabbitmqSettings, description="The log on RabbitMQ; counts where log_url is amqp:// or amqps://."
    )
