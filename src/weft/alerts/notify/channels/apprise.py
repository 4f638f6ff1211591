"""Notifications to everything else that Apprise knows: Discord, Telegram, Matrix, PagerDuty, ntfy and many more.

Apprise opens its connections itself. So a service with a host of its own is looked up and checked before each message, but the
connection is made by Apprise's own look-up a moment later; services that take any address, read files or speak to this very
machine are refused, for the kinds webhook and email do that work under our own rules.
"""

import asyncio
import logging
import re
from functools import cached_property
from typing import Any, ClassVar, Final, cast
from urllib.parse import parse_qsl, urlsplit

import apprise
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from weft.alerts.notify.message import Message
from weft.alerts.notify.port import Channel, Outgoing
from weft.alerts.notify.shorten import one_line, shortened
from weft.core.errors import Invalid, Refused, Unavailable

for _name in ("apprise", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # below that they write addresses, and addresses hold secrets

_ANY_ADDRESS: Final = {
    "json", "jsons", "xml", "xmls", "form", "forms", "apprise", "apprises", "mailto", "mailtos", "rsyslog", "smpp", "amqp",
    "amqps",
}  # fmt: skip
_THIS_MACHINE: Final = {"syslog", "dbus", "kde", "qt", "glib", "gnome", "macosx", "windows", "deltachat", "deltachats"}
_PARAMETERS: Final = {
    "format", "overflow", "to", "from", "name", "title", "priority", "sound", "channel", "thread", "topic", "tags", "region",
    "image", "footer", "avatar", "tts",
}  # fmt: skip
"""What an address may say behind its '?'. Others can name files, hosts or certificates."""
_STATUS: Final = re.compile(r"error=(\d{3})\b")
_TITLE_CHARS: Final = 200
_TEXT_CHARS: Final = 4000
_SAID_CHARS: Final = 300


class AppriseOptions(BaseModel):
    """A service as Apprise writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr = Field(description="Apprise address, such as discord://id/token; it is kept as a secret.")


class AppriseChannel(Channel):
    """Any service of Apprise, by its address. Needs the extra 'apprise'."""

    kind = "apprise"
    options = AppriseOptions
    template: ClassVar = {
        "title": "[{state}] {rule}",
        "text": "{summary}\n{description}\n{labels}\n{values}\n{occasion}\n{link}",
    }

    def __init__(self, options: AppriseOptions, outgoing: Outgoing) -> None:
        self._url = options.url.get_secret_value()
        self._outgoing = outgoing

    @property
    def _scheme(self) -> str:
        return self._url.partition("://")[0].lower()

    @property
    def destination(self) -> str:
        return f"{self._scheme}://{self._host or ''}"

    def check(self) -> None:
        if "://" not in self._url or self._scheme in _ANY_ADDRESS | _THIS_MACHINE:
            raise Invalid(
                f"'{self._scheme[:32]}' is no service of Apprise that can be used here; for plain addresses take the kind "
                "webhook, for mail the kind email",
                field="settings.url",
            )
        unknown = sorted({name for name, _ in parse_qsl(urlsplit(self._url).query, keep_blank_values=True)} - _PARAMETERS)
        if unknown:
            raise Invalid(
                f"the parameter '{unknown[0][:32]}' is not taken; taken are: {', '.join(sorted(_PARAMETERS))}",
                field="settings.url",
            )
        if self._service is None:
            raise Invalid("Apprise does not understand this address", field="settings.url")
        if self._host is not None:
            self._outgoing.destinations.check_host(self._host, field="settings.url")
        else:
            self._outgoing.destinations.check_service(self._scheme, field="settings.url")

    async def send(self, message: Message) -> str:
        self.check()
        if self._host is not None:
            await self._outgoing.destinations.find(self._host, cast("int", self._service.port or 443))
        title = one_line(message.headline("title"), _TITLE_CHARS)
        text = shortened("\n\n".join(texts["text"] for texts in message.texts), _TEXT_CHARS)
        done, said = await asyncio.to_thread(self._notify, title, text)
        if done:
            return said or f"{self._scheme} took it"
        status = _STATUS.search(said)
        if status is not None and 400 <= int(status[1]) < 500 and status[1] not in {"408", "429"}:
            raise Refused(f"{self._scheme}: {said}")
        raise Unavailable(f"{self._scheme}: {said or 'the service did not take it'}", retry_after_s=0)

    def _notify(self, title: str, text: str) -> tuple[bool, str]:
        sender: Any = apprise.Apprise(asset=self._asset)
        sender.add(self._service)
        with sender.notify(body=text, title=title, body_format="text") as result:
            return bool(result), one_line("; ".join(str(entry.message) for entry in result.logs()), _SAID_CHARS)

    @cached_property
    def _service(self) -> Any:
        return apprise.Apprise.instantiate(self._url, asset=self._asset)

    @cached_property
    def _host(self) -> str | None:
        """The host of a service that has one of its own; those in the cloud go where Apprise knows."""
        service = self._service
        return str(service.host) if service is not None and "host" in service.template_tokens and service.host else None

    @cached_property
    def _asset(self) -> Any:
        return apprise.AppriseAsset(
            app_id="Weft",
            app_desc="Weft alerts",
            http_redirects=False,
            storage_mode="memory",
            allow_templates=False,
            service_timeout=self._outgoing.timeout_s,
        )
