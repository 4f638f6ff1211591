"""Settings of the log on Kafka."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

DAY_S = 86_400.0
MEBIBYTE = 1024 * 1024

CONTRACT_RETENTION_S: dict[str, float] = {
    "device.sensor.heartrate": 60 * DAY_S,
    "device.health": 60 * DAY_S,
    "device.sensor": 30 * DAY_S,
    "device.state": 30 * DAY_S,
    "device.system": 30 * DAY_S,
    "device.app": 30 * DAY_S,
    "os.events": 30 * DAY_S,
    "digital.web": 30 * DAY_S,
    "device.image.camera": 15 * DAY_S,
    "media.text.transcribed.words": 15 * DAY_S,
    "media.image.analysis": 15 * DAY_S,
    "device.metadata": 90 * DAY_S,
    "device.text.notes": 90 * DAY_S,
    "analysis": 90 * DAY_S,
    "location.address": 90 * DAY_S,
    "location.georegion": 90 * DAY_S,
    "external.hackernews": 180 * DAY_S,
    "task.url.processed": 180 * DAY_S,
    "external.email": 90 * DAY_S,
    "external.calendar": 365 * DAY_S,
    "external.twitter.liked": 365 * DAY_S,
}
"""How long topics keep events, by how their names begin; the longest beginning counts. Other topics: `retention_s`."""


class KafkaSettings(BaseModel):
    """How Weft uses Kafka as its log. The address is `app.log_url`: `kafka://host:port,host:port/?prefix=lab.`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: str = Field(
        default="",
        pattern=r"^[a-z0-9._-]*$",
        max_length=64,
        description="Begins the name of every topic and group in Kafka; give one where others use the cluster too.",
    )
    partitions: int = Field(default=8, ge=1, le=10_000, description="Partitions of a topic that Weft creates.")
    append_partition: int | None = Field(
        default=None,
        ge=0,
        description="The partition this process appends to, so that replicas never share one; none: one by chance.",
    )
    replication: int | None = Field(
        default=None, ge=1, le=64, description="Replicas of a topic that Weft creates; none: what the cluster does by default."
    )
    min_in_sync_replicas: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Replicas that must hold an event before it is acknowledged, for topics that Weft creates; none: as the "
        "cluster does.",
    )
    retention_s: float | None = Field(
        default=7 * DAY_S,
        gt=0,
        description="Seconds after which Kafka removes events of a topic that Weft creates, consumed or not; none: never.",
    )
    retention_by_topic_s: dict[str, float | None] = Field(
        default_factory=lambda: dict[str, float | None](CONTRACT_RETENTION_S),
        description="The same for topics whose names begin so; the longest beginning counts.",
    )
    compression: str = Field(
        default="lz4", pattern="^(none|gzip|snappy|lz4|zstd)$", description="How messages are compressed on their way."
    )
    linger_s: float = Field(
        default=0.002, ge=0, le=1, description="Seconds a message waits for others, to be sent in one request with them."
    )
    delivery_timeout_s: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="Seconds after which an append that Kafka did not acknowledge is answered as timed out.",
    )
    request_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="Seconds a question to Kafka may take before the broker counts as away."
    )
    probe_interval_s: float = Field(
        default=0.5, gt=0, le=60, description="Seconds between two looks whether a broker that was away is back."
    )
    discover_interval_s: float = Field(
        default=2.0, gt=0, le=600, description="Seconds between two looks for new topics and partitions to follow."
    )
    session_timeout_s: float = Field(
        default=10.0,
        ge=6,
        le=1800,
        description="Seconds after which a silent member of a group loses its partitions.",
    )
    prefetch_bytes: int = Field(
        default=8 * MEBIBYTE, ge=65_536, description="Bytes a reader takes from Kafka ahead of what was asked for."
    )
    follow_bytes: int = Field(
        default=8 * MEBIBYTE, ge=65_536, description="Bytes that may wait for a follower before its partitions are paused."
    )
    max_message_bytes: int = Field(
        default=1_000_000, ge=1000, description="Largest event in bytes; keep it below Kafka's own message.max.bytes."
    )
    client: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="More settings of Kafka's own client by its names, such as security.protocol or ssl.ca.location.",
    )
    client_secrets: dict[str, SecretStr] = Field(
        default_factory=dict[str, SecretStr],
        description="The same for values that nobody shall read, such as ssl.key.password; never shown.",
    )

    @field_validator("client")
    @classmethod
    def _no_secrets(cls, client: dict[str, str]) -> dict[str, str]:
        """What is shown by `weft config show` must hold no password."""
        for name in client:
            if "password" in name or "secret" in name:
                raise ValueError(f"'{name}' belongs under log.kafka.client_secrets, which is never shown")
        return client
