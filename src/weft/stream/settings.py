"""Settings of continuous queries."""

from pydantic import BaseModel, ConfigDict, Field

from weft.core.times import SECOND_US

MEBIBYTE = 1024 * 1024


class StreamSettings(BaseModel):
    """How continuous queries are computed and kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    built_in_queries: bool = Field(
        default=True, description="Compute the queries that come with Weft: events_per_second, error_rate and their like."
    )
    out_of_order_s: float = Field(
        default=1.0,
        ge=0,
        le=86_400,
        description="How far behind the newest event of its partition an event may be and still be in time (seconds). Windows "
        "close this much later.",
    )
    out_of_order_by_topic: dict[str, float] = Field(
        default_factory=dict[str, float], description="The same for single topics, by name (seconds)."
    )
    save_interval_s: float = Field(
        default=5.0,
        gt=0,
        le=600,
        description="Seconds between two savings of state and positions; what came since is computed again after a crash.",
    )
    save_max_share: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="Most of the time that may go into saving (ratio); where state is large it is saved less often.",
    )
    state_limit_bytes: int = Field(
        default=256 * MEBIBYTE,
        ge=1024,
        description="Bytes of state of one topic's queries from which on the verdict asks to act.",
    )
    stalled_s: float = Field(
        default=120.0,
        gt=0,
        description="Seconds for which event time may stand still while events arrive before the verdict tells.",
    )
    orphaned_partition_s: float = Field(
        default=60.0,
        gt=0,
        description="Seconds without event or tick after which a partition holds windows back no longer while others go on. "
        "What still comes there for closed windows is late.",
    )
    lease_s: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Seconds without a sign of life after which another analytics process takes over a topic.",
    )
    query_limit: int = Field(default=10_000, ge=1, description="Most queries that may be stored (queries).")
    result_max_age_s: int = Field(
        default=86_400, ge=1, description="How far back results are looked for where no beginning is given (seconds)."
    )
    backtests: int = Field(default=2, ge=1, le=64, description="Most backtests that run in this process at a time.")
    backtest_max_events: int = Field(default=50_000_000, ge=1, description="Most events that one backtest reads (events).")

    def out_of_order_us(self, topic: str) -> int:
        """The bound of a topic in microseconds."""
        return int(self.out_of_order_by_topic.get(topic, self.out_of_order_s) * SECOND_US)
