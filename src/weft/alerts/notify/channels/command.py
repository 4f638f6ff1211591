"""Notifications that make a device do something. Declared, so that rules can name them; nothing commands devices yet."""

from pydantic import BaseModel, ConfigDict, Field

from weft.alerts.notify.message import Message
from weft.alerts.notify.port import Channel, Outgoing
from weft.core.errors import Unsupported


class CommandOptions(BaseModel):
    """A device and one of its actions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: str = Field(min_length=1, max_length=256, description="Which device.")
    action: str = Field(min_length=1, max_length=256, description="Which of its actions.")


class CommandChannel(Channel):
    """A command to a device. It can be configured and is refused at every message: this version does not know devices."""

    kind = "command"
    options = CommandOptions

    def __init__(self, options: CommandOptions, outgoing: Outgoing) -> None:
        self._options = options

    @property
    def destination(self) -> str:
        return self._options.device

    def check(self) -> None:
        """Any name of a device will do until devices are known."""

    async def send(self, message: Message) -> str:
        raise Unsupported(f"the device '{self._options.device}' is not commanded: this version of Weft does not know devices")
