"""Notifications to a Slack channel."""

import re
from typing import Any, ClassVar, Final

import msgspec
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from weft.alerts.notify.message import Message
from weft.alerts.notify.notification import Notification
from weft.alerts.notify.port import Channel, Outgoing
from weft.alerts.notify.post import check_url, place_of
from weft.alerts.notify.shorten import one_line, shortened
from weft.core.times import to_text

_TITLE_CHARS: Final = 150
_TEXT_CHARS: Final = 2900
_SHOWN: Final = 15
"""Slack takes 50 blocks in a message; each notification needs up to three."""
_SIGN: Final = {"info": ":information_source:", "warning": ":warning:", "error": ":red_circle:", "critical": ":rotating_light:"}


class SlackOptions(BaseModel):
    """An incoming webhook of Slack, or of a program that speaks like it (Mattermost, Rocket.Chat)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr = Field(description="Address of the incoming webhook. Whoever knows it can post, so it is kept as a secret.")


class SlackChannel(Channel):
    """A Slack channel through an incoming webhook."""

    kind = "slack"
    options = SlackOptions
    template: ClassVar = {
        "title": "[{state}] {rule}",
        "text": "{summary}\n{description}\n{labels}\n{values}\n{occasion}\n{link}",
    }

    def __init__(self, options: SlackOptions, outgoing: Outgoing) -> None:
        self._url = options.url.get_secret_value()
        self._outgoing = outgoing

    @property
    def destination(self) -> str:
        return place_of(self._url)

    def check(self) -> None:
        self._outgoing.destinations.check_host(check_url(self._url, field="settings.url"), field="settings.url")

    async def send(self, message: Message) -> str:
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.key}
        return await self._outgoing.poster.post(self._url, content=msgspec.json.encode(_payload(message)), headers=headers)


def _payload(message: Message) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    for notification, texts in list(zip(message.notifications, message.texts, strict=True))[:_SHOWN]:
        blocks += _blocks(notification, texts)
    left_out = len(message.notifications) - _SHOWN
    if left_out > 0:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": f"and {left_out} more"}]})
    return {"text": _escaped(message.headline("title"), _TEXT_CHARS), "blocks": blocks}


def _blocks(notification: Notification, texts: dict[str, str]) -> list[dict[str, Any]]:
    title = {"type": "plain_text", "text": one_line(texts["title"], _TITLE_CHARS) or notification.state, "emoji": False}
    sign = ":white_check_mark:" if notification.is_over else _SIGN[notification.level]
    since = f"{sign} {notification.level} · {notification.state} since {to_text(notification.since_us)}"
    blocks: list[dict[str, Any]] = [{"type": "header", "text": title}]
    if texts["text"]:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": _escaped(texts["text"], _TEXT_CHARS)}})
    return [*blocks, {"type": "context", "elements": [{"type": "mrkdwn", "text": _escaped(since, _TEXT_CHARS)}]}]


def _escaped(text: str, chars: int) -> str:
    """The three characters that Slack reads as markup cannot be written by an event."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"&[a-z]*…$", "…", shortened(escaped, chars))
