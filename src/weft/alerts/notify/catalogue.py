"""The catalogue of kinds of channels: found by name, imported only when used, so that none costs who does not use it."""

from importlib import import_module
from typing import Any, Final, cast, get_args

from pydantic import SecretStr, ValidationError

from weft.alerts.notify.port import Channel, Outgoing
from weft.core.errors import Invalid, Unsupported

KINDS: Final = {
    "email": "smtp:SmtpChannel",
    "slack": "slack:SlackChannel",
    "webhook": "webhook:WebhookChannel",
    "sms": "sms:SmsChannel",
    "apprise": "apprise:AppriseChannel",
    "command": "command:CommandChannel",
}


def find_class(kind: str) -> type[Channel]:
    """The class of a kind. Raises Invalid for an unknown one, Unsupported where its extra is not installed."""
    if kind not in KINDS:
        raise Invalid(
            f"no kind of channel is called '{kind[:64]}'; known are: {', '.join(KINDS)}", field="kind", allowed=[*KINDS]
        )
    file, name = KINDS[kind].split(":")
    try:
        return cast("type[Channel]", getattr(import_module(f"weft.alerts.notify.channels.{file}"), name))
    except ModuleNotFoundError as missing:
        raise Unsupported(
            f"channels of the kind '{kind}' need the package '{missing.name}', which is not installed; "
            f"run: pip install 'weft[{file}]'"
        ) from missing


def secret_names(kind: str) -> frozenset[str]:
    """The options of a kind that are secrets."""
    fields = find_class(kind).options.model_fields
    return frozenset(name for name, field in fields.items() if SecretStr in (field.annotation, *get_args(field.annotation)))


def open_channel(kind: str, options: dict[str, Any], outgoing: Outgoing) -> Channel:
    """A channel with these options, secrets included. Raises Invalid, naming the field, and Unsupported."""
    chosen = find_class(kind)
    try:
        read = chosen.options.model_validate(options)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in ("settings", *first["loc"]))
        raise Invalid(f"{place}: {first['msg']}", field=place) from None  # the original error shows what was given
    return chosen(read, outgoing)
