"""Settings of notifications."""

from pydantic import BaseModel, ConfigDict, Field


class NotifySettings(BaseModel):
    """Where notifications may go, and how they are spaced. What a channel itself needs stands with the channel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="Where channels may send: hosts (hooks.slack.com), all below one (*.example.org), networks (10.1.0.0/16), "
        "services of Apprise (discord://), or * for every public address. Empty: in development anywhere but link-local "
        "addresses, else nowhere.",
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="Address under which people reach this installation, for links in notifications; empty: links are paths.",
    )
    group_wait_s: float = Field(
        default=0.0,
        ge=0,
        le=3600,
        description="How long the first notification of a group waits for others to go out with it (seconds).",
    )
    group_interval_s: float = Field(
        default=10.0,
        ge=0,
        le=86400,
        description="Least time between two messages about one group through one channel; what comes meanwhile goes out "
        "together (seconds).",
    )
    repeat_interval_s: float = Field(
        default=60.0,
        ge=1,
        le=86400,
        description="Least time between two reminders of one alert through one channel; one that comes sooner is left out "
        "(seconds).",
    )
    messages_per_minute: int = Field(
        default=30,
        ge=1,
        le=10_000,
        description="Messages a channel sends in a minute where it sets no limit of its own; more become one digest.",
    )
    digest_notifications: int = Field(default=100, ge=1, le=500, description="Notifications in one message at most.")
    send_timeout_s: float = Field(
        default=10.0, gt=0, le=120, description="How long one try to send may take, connecting included (seconds)."
    )
    first_retry_s: float = Field(
        default=1.0, gt=0, le=60, description="Wait after the first failure; it doubles with each further one (seconds)."
    )
    longest_retry_s: float = Field(default=60.0, ge=1, le=3600, description="Longest wait between two tries (seconds).")
    give_up_after_s: float = Field(
        default=86_400.0,
        ge=60,
        le=30 * 86_400,
        description="Age at which a notification that could not be delivered is given up, with a finding (seconds).",
    )
    keep_days: int = Field(default=30, ge=1, le=3650, description="How long deliveries and their attempts are kept (days).")
