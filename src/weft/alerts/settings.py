"""Settings of alerts."""

from pydantic import BaseModel, ConfigDict, Field

from weft.alerts.notify.settings import NotifySettings


class AlertsSettings(BaseModel):
    """How alerts are judged and kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    built_in_rules: bool = Field(
        default=True, description="Make the rules that come with Weft: its own lag, dead letters, stalled time, disk."
    )
    built_in_channels: tuple[str, ...] = Field(
        default=(), description="Whom the rules that come with Weft tell: kinds (email) or names of channels; once, when made."
    )
    look_interval_s: float = Field(
        default=1.0, gt=0, le=60, description="Seconds between two looks for what time brings: escalations, silences, changes."
    )
    findings_interval_s: float = Field(
        default=10.0, ge=1, le=3600, description="Seconds between two looks at Weft's own checks for the rules about them."
    )
    heartbeat_interval_s: float = Field(
        default=300.0,
        ge=10,
        le=86_400,
        description="Seconds between two heartbeats: who misses one knows that Weft is silent.",
    )
    heartbeat_channels: tuple[str, ...] = Field(
        default=(),
        description="Whom heartbeats are sent to: kinds or names of channels; the topic alerts has them anyway.",
    )
    no_topic_s: float = Field(
        default=60.0,
        ge=1,
        description="Seconds after which a topic that nothing was ever sent to counts as silent for what is expected of it.",
    )
    flaps: int = Field(
        default=6, ge=2, le=1_000, description="Firings and ends within flap_window_s from which on an alert is flapping."
    )
    flap_window_s: float = Field(default=1800.0, gt=0, description="The time in which firings and ends are counted (seconds).")
    keep_days: int = Field(default=90, ge=1, le=3650, description="How long alerts that are over are kept (days).")
    lease_s: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Seconds without a sign of life after which another alerting process takes over.",
    )
    notify: NotifySettings = Field(default_factory=NotifySettings, description="How notifications are delivered.")
