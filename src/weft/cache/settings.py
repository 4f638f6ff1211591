"""Settings of the cache. Environment: `WEFT_CACHE__<FIELD>`."""

from pydantic import BaseModel, ConfigDict, Field


class CacheSettings(BaseModel):
    """Where processes share rate limits and word of revocations, and how long they wait for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        default="memory://",
        description="Address of the cache: `memory://` keeps it in this process, `redis://user:password@host:6379/0` shares it "
        "(`rediss://` over TLS).",
    )
    prefix: str = Field(
        default="weft:",
        max_length=64,
        description="First characters of every key and channel, so that several installations may share one server.",
    )
    max_connections: int = Field(
        default=50, ge=2, le=10_000, description="Connections to the server at most, for each process (connections)."
    )
    timeout_s: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="How long to wait for an answer before going on without the cache (seconds).",
    )
    retry_s: float = Field(
        default=1.0, gt=0, le=60, description="How long a cache that failed is left alone before it is asked again (seconds)."
    )
    heartbeat_s: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="How often a silent line for word of revocations is tried, to notice that it is dead (seconds).",
    )
    max_entries: int = Field(
        default=100_000, ge=1, description="Entries that `memory://` keeps; the oldest go first (entries)."
    )
