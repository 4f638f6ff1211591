"""Notification: what people are told about one transition of an alert. It is complete: nobody has to look anything up."""

import hashlib
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

Level = Literal["info", "warning", "error", "critical"]
Value = float | int | str | bool | None

Text = Annotated[str, Meta(max_length=2048)]

MAX_BYTES: Final = 64 * 1024
"""A notification as JSON is at most this long; the outbox refuses more."""


class Notification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One transition of one alert.

    `fingerprint` is the same for the whole life of an alert, `transition` counts its transitions. `occasion` tells apart what
    is said more than once about one transition: '' when it happened, else why again: escalated, reminder, … (only a `reminder`
    may be left out, where it comes too soon).
    `state` is what the alert became: firing, resolved, no_data, error and so on. `group_key` says which notifications may go
    out together; one without it goes alone. `group_wait_us` is how long the first of a group waits for others,
    `group_interval_us` how far two messages about it are apart; None is as the settings say. `links` lead to more, by name:
    `alert`, `why`, `rule`.
    """

    fingerprint: Annotated[str, Meta(min_length=1, max_length=128)]
    transition: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    state: Annotated[str, Meta(min_length=1, max_length=32)]
    rule_id: Annotated[str, Meta(min_length=1, max_length=64)]
    rule_name: Annotated[str, Meta(min_length=1, max_length=256)]
    rule_version: int
    level: Level
    summary: Text
    since_us: int
    at_us: int
    occasion: Annotated[str, Meta(max_length=32)] = ""
    group_key: Annotated[str, Meta(max_length=256)] = ""
    group_wait_us: Annotated[int, Meta(ge=0)] | None = None
    group_interval_us: Annotated[int, Meta(ge=0)] | None = None
    description: Text = ""
    labels: dict[str, str] = {}
    values: dict[str, Value] = {}
    links: dict[str, str] = {}

    @property
    def is_over(self) -> bool:
        """Whether it says that the alert is gone."""
        return self.state == "resolved"


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """The wish to tell something through channels. `channels` are names of channels, or kinds: every channel of that kind."""

    notification: Notification
    channels: tuple[str, ...]


def key_of(notification: Notification, channel_id: str) -> str:
    """The idempotency key of one notification through one channel: the same however often it is sent."""
    told = (notification.fingerprint, str(notification.transition), notification.occasion, channel_id)
    return hashlib.sha256("\x1f".join(told).encode()).hexdigest()[:32]
