"""Notifications to any program that listens on HTTP."""

import base64
import binascii
import hashlib
import hmac
from typing import Any, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from weft.alerts.notify.message import Message
from weft.alerts.notify.notification import Notification
from weft.alerts.notify.port import Channel, Outgoing
from weft.alerts.notify.post import check_url, place_of
from weft.core.errors import Invalid
from weft.core.times import SECOND_US, to_text

_BASE64_MARK: Final = "whsec_"
_LEAST_SECRET_CHARS: Final = 16
_NO_END: Final = "0001-01-01T00:00:00Z"
"""What Alertmanager writes for an alert that has not ended."""


class WebhookOptions(BaseModel):
    """An address that takes JSON by POST."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(min_length=1, max_length=2048, description="Address to post to.")
    shape: Literal["weft", "alertmanager"] = Field(
        default="weft", description="The body: Weft's own, or the one Prometheus Alertmanager sends (version 4)."
    )
    secret: SecretStr | None = Field(
        default=None, description="Key of the signature in the header webhook-signature; without it nothing is signed."
    )
    authorization: SecretStr | None = Field(default=None, description="The header Authorization, such as 'Bearer …'.")


class WebhookChannel(Channel):
    """A POST with JSON. The other side knows a repeat by the header Idempotency-Key, and us by the signature."""

    kind = "webhook"
    options = WebhookOptions

    def __init__(self, options: WebhookOptions, outgoing: Outgoing) -> None:
        self._options = options
        self._outgoing = outgoing

    @property
    def destination(self) -> str:
        return place_of(self._options.url)

    def check(self) -> None:
        self._outgoing.destinations.check_host(check_url(self._options.url, field="settings.url"), field="settings.url")
        if self._options.secret is not None and len(self._options.secret.get_secret_value()) < _LEAST_SECRET_CHARS:
            raise Invalid(f"a secret has at least {_LEAST_SECRET_CHARS} characters", field="settings.secret")
        authorization = self._options.authorization
        if authorization is not None and not authorization.get_secret_value().isprintable():
            raise Invalid("authorization is one line", field="settings.authorization")

    async def send(self, message: Message) -> str:
        content = msgspec.json.encode(_SHAPES[self._options.shape](message))
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.key}
        if self._options.authorization is not None:
            headers["Authorization"] = self._options.authorization.get_secret_value()
        if self._options.secret is not None:
            sent_at_s = self._outgoing.clock.now_us() // SECOND_US
            headers |= signature(self._options.secret.get_secret_value(), message.key, sent_at_s, content)
        return await self._outgoing.poster.post(self._options.url, content=content, headers=headers)


def signature(secret: str, key: str, sent_at_s: int, content: bytes) -> dict[str, str]:
    """The headers of the Standard Webhooks specification: HMAC-SHA256 over id, time and body, so no part can be replaced."""
    signed = f"{key}.{sent_at_s}.".encode() + content
    digest = hmac.new(_key_in(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": key,
        "webhook-timestamp": str(sent_at_s),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _key_in(secret: str) -> bytes:
    if secret.startswith(_BASE64_MARK):
        try:
            return base64.b64decode(secret.removeprefix(_BASE64_MARK), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def _own(message: Message) -> dict[str, Any]:
    return {
        "key": message.key,
        "channel": message.channel,
        "at": to_text(message.at_us),
        "notifications": [_told(notification) for notification in message.notifications],
    }


def _told(notification: Notification) -> dict[str, Any]:
    return {
        "fingerprint": notification.fingerprint,
        "transition": notification.transition,
        "occasion": notification.occasion,
        "state": notification.state,
        "level": notification.level,
        "rule": {"id": notification.rule_id, "name": notification.rule_name, "version": notification.rule_version},
        "group": notification.group_key,
        "summary": notification.summary,
        "description": notification.description,
        "labels": notification.labels,
        "values": notification.values,
        "since": to_text(notification.since_us),
        "at": to_text(notification.at_us),
        "links": notification.links,
    }


def _alertmanager(message: Message) -> dict[str, Any]:
    alerts = [_alert(notification) for notification in message.notifications]
    return {
        "version": "4",
        "groupKey": message.topic,
        "truncatedAlerts": 0,
        "status": "resolved" if message.is_over else "firing",
        "receiver": message.channel,
        "groupLabels": {},
        "commonLabels": _common([alert["labels"] for alert in alerts]),
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": next(iter(message.notifications[0].links.values()), ""),
        "alerts": alerts,
    }


def _alert(notification: Notification) -> dict[str, Any]:
    return {
        "status": "resolved" if notification.is_over else "firing",
        "labels": {**notification.labels, "alertname": notification.rule_name, "severity": notification.level},
        "annotations": {"summary": notification.summary, "description": notification.description},
        "startsAt": to_text(notification.since_us),
        "endsAt": to_text(notification.at_us) if notification.is_over else _NO_END,
        "generatorURL": notification.links.get("rule", ""),
        "fingerprint": notification.fingerprint,
    }


def _common(each: list[dict[str, str]]) -> dict[str, str]:
    return {name: value for name, value in each[0].items() if all(other.get(name) == value for other in each)}


_SHAPES: Final = {"weft": _own, "alertmanager": _alertmanager}
