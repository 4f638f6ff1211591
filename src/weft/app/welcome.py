"""What a person sees when Weft is up: where it is, who the first administrator is, and two lines to try."""

import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from weft.app.config import Configuration
from weft.auth.bootstrap import FirstAdministrator


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Processes of one kind and the address they share."""

    service: str
    url: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The facts of a start."""

    service: str
    roles: tuple[str, ...]
    version: str
    url: str
    data_dir: Path
    is_default_data_dir: bool
    first_administrator: FirstAdministrator | None
    anonymous_writes: bool
    listeners: tuple[Listener, ...] = ()
    """Where the processes of a crew listen."""

    def lines(self, *, program: str) -> Iterator[str]:
        """The text, line by line. `program` is how the reader called Weft."""
        yield f"Weft {self.version} is up: {self.url}  (documentation: {self.url}/docs)"
        for listener in self.listeners:
            yield f"  {listener.count} x {listener.service} on {listener.url}"
        yield f"Roles: {', '.join(self.roles)}. Everything is kept in {self.data_dir}"
        if self.first_administrator is not None:
            yield from self._administrator(self.first_administrator)
        if "ingestion" in self.roles:
            yield ""
            yield "Send an event, then look at what this machine reports about itself:"
            yield f"  {self.curl}"
            yield f"  {self.command(program)}"
        yield ""
        yield "Ctrl-C stops it."

    def _administrator(self, made: FirstAdministrator) -> Iterator[str]:
        yield ""
        if made.password is None:
            yield f"The first administrator is {made.email}, with the password you set."
        else:
            yield f"First administrator: {made.email}   password: {made.password}"
            yield "(The password is shown this once; change it with `weft users set-password`.)"

    @property
    def curl(self) -> str:
        """A request that works when pasted."""
        event = json.dumps({"type": "custom", "source": "quickstart", "data": {"hello": "world"}}, separators=(",", ":"))
        key = (
            "" if self.anonymous_writes else f' -H "X-API-Key: $(cat {shlex.quote(str(self.data_dir / "secrets/local.key"))})"'
        )
        return f"curl -sS {self.url}/events -H 'Content-Type: application/json'{key} -d '{event}'"

    def command(self, program: str) -> str:
        """A command that works when pasted where Weft was started."""
        folder = "" if self.is_default_data_dir else f" --data-dir {shlex.quote(str(self.data_dir))}"
        return f"{_called(program)} query --type system.metric --limit 3{folder}"


def welcome_of(
    configuration: Configuration,
    *,
    service: str,
    roles: tuple[str, ...],
    version: str,
    url: str,
    made: FirstAdministrator | None,
    listeners: tuple[Listener, ...] = (),
) -> Welcome:
    """The facts of a start, those of the configuration filled in."""
    settings = configuration.settings
    return Welcome(
        service=service,
        roles=roles,
        version=version,
        url=url,
        data_dir=settings.app.data_dir,
        is_default_data_dir=configuration.origin(("app", "data_dir")).kind != "flag",
        first_administrator=made,
        anonymous_writes=settings.app.environment == "development" and settings.auth.allow_anonymous_writes,
        listeners=listeners,
    )


def _called(program: str) -> str:
    return f"{shlex.quote(sys.executable)} -m weft" if program.endswith("__main__.py") else shlex.quote(program)
