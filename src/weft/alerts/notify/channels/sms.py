"""Notifications by text message, through a provider's HTTP interface."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final
from urllib.parse import quote, urlencode

import msgspec
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from weft.alerts.notify.message import Message
from weft.alerts.notify.port import Channel, Outgoing
from weft.alerts.notify.post import check_url, place_of
from weft.alerts.notify.shorten import one_line
from weft.core.errors import Invalid, Unavailable

Number = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{4,14}$")]


class SmsOptions(BaseModel):
    """A provider of text messages and the number to reach. For further numbers make further channels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str | None = Field(
        default=None,
        max_length=32,
        description="How the provider is spoken to: twilio (its API, or one of its shape), or json (a POST of from, to, text). "
        "Until one is chosen every message says that it cannot be delivered.",
    )
    url: str | None = Field(
        default=None, max_length=2048, description="Address of the provider; of twilio https://api.twilio.com by default."
    )
    account: str | None = Field(default=None, max_length=128, description="Account at the provider.")
    token: SecretStr | None = Field(default=None, description="The account's token.")
    sender: str = Field(min_length=1, max_length=32, description="Number or name the messages come from.")
    to: Number = Field(description="Number they go to, with the country: +4930123456.")
    max_chars: int = Field(default=320, ge=40, le=1600, description="Longest text (characters); 160 are one message.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    url: str
    content: bytes
    content_type: str
    sign_in: tuple[str, str] | None = None
    bearer: str | None = None


class SmsChannel(Channel):
    """Text messages (SMS). They are short: of many notifications only how many, and of which rules."""

    kind = "sms"
    options = SmsOptions
    template: ClassVar = {"text": "{state} {level}: {rule}: {summary}"}

    def __init__(self, options: SmsOptions, outgoing: Outgoing) -> None:
        self._options = options
        self._outgoing = outgoing

    @property
    def destination(self) -> str:
        base = self._options.url or _BASES.get(self._options.provider or "")
        return place_of(base) if base else ""

    def check(self) -> None:
        base = self._options.url or _BASES.get(self._options.provider or "")
        if base is not None:
            self._outgoing.destinations.check_host(check_url(base, field="settings.url"), field="settings.url")
        account = self._options.account
        if account is not None and (not account.isascii() or ":" in account):
            raise Invalid("an account has plain characters and no colon", field="settings.account")

    async def send(self, message: Message) -> str:
        provider = self._options.provider
        make = _PROVIDERS.get(provider or "")
        if make is None:
            known = ", ".join(_PROVIDERS)
            raise Unavailable(
                f"no SMS provider is called '{provider}'; known are {known}"
                if provider
                else f"no SMS provider is set: {known}",
                retry_after_s=0,
            )
        request = make(self._options, one_line(message.headline("text"), self._options.max_chars))
        headers = {"Content-Type": request.content_type, "Idempotency-Key": message.key}
        if request.bearer is not None:
            headers["Authorization"] = f"Bearer {request.bearer}"
        return await self._outgoing.poster.post(request.url, content=request.content, headers=headers, sign_in=request.sign_in)


def _twilio(options: SmsOptions, text: str) -> _Request:
    if options.account is None or options.token is None:
        raise Unavailable("the SMS provider twilio needs an account and a token", retry_after_s=0)
    base = (options.url or _BASES["twilio"]).rstrip("/")
    form = {"To": options.to, "From": options.sender, "Body": text}
    return _Request(
        url=f"{base}/2010-04-01/Accounts/{quote(options.account, safe='')}/Messages.json",
        content=urlencode(form).encode(),
        content_type="application/x-www-form-urlencoded",
        sign_in=(options.account, options.token.get_secret_value()),
    )


def _json(options: SmsOptions, text: str) -> _Request:
    if options.url is None:
        raise Unavailable("the SMS provider json needs a url", retry_after_s=0)
    return _Request(
        url=options.url,
        content=msgspec.json.encode({"from": options.sender, "to": options.to, "text": text}),
        content_type="application/json",
        bearer=options.token.get_secret_value() if options.token is not None else None,
    )


_BASES: Final = {"twilio": "https://api.twilio.com"}
_PROVIDERS: Final[dict[str, Callable[[SmsOptions, str], _Request]]] = {"twilio": _twilio, "json": _json}
