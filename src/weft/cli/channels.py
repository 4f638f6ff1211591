"""`weft channels …`: the ways in which people and programs are told about alerts."""

import shlex
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from weft.cli.connect import Server
from weft.cli.exits import Exit
from weft.cli.options import ConfigOption, DataDirOption, RowFormat, RowFormatOption, TokenOption, UrlOption
from weft.cli.output import write_line, write_note, write_rows
from weft.core.errors import Invalid

app = typer.Typer(help="List, add, remove and try channels.", no_args_is_help=True, rich_markup_mode=None)

NameArgument = Annotated[str, typer.Argument(help="Name or id of the channel.", show_default=False)]
_ROWS = 1000


@app.command("list")
def list_channels(
    *,
    style: RowFormatOption = RowFormat.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """List the channels by name. Their secrets are masked."""
    with Server.find("alerting", url=url, token=token, config=config, data_dir=data_dir) as server:
        answer = server.ask("GET", "/api/v1/channels", params={"limit": _ROWS})
    columns = ("name", "kind", "enabled", "settings") if style is RowFormat.TABLE else None
    write_rows(answer["data"], style=style, columns=columns)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What rules call it.", show_default=False)],
    *,
    kind: Annotated[
        str, typer.Option("--kind", "-k", help="email, slack, webhook, sms, apprise or command.", show_default=False)
    ],
    given: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting, name=value; may be repeated, and lists repeat the name.", show_default=False),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            help="Name of a setting that is asked for, or read from a line of the input, so that no history keeps it.",
            show_default=False,
        ),
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option("--template", help="Its own words for a field, field=text with {names}.", show_default=False),
    ] = None,
    per_minute: Annotated[
        int | None,
        typer.Option("--per-minute", min=1, help="Messages in a minute at most.", show_default="as the settings say"),
    ] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Add a channel. `weft channels test` then sends something through it."""
    with Server.find("alerting", url=url, token=token, config=config, data_dir=data_dir) as server:
        kinds = {row["kind"]: row for row in server.ask("GET", "/api/v1/channels/kinds")["data"]}
        pairs = [_pair(text, "--set") for text in given or ()] + [(field, _ask(field)) for field in secret or ()]
        body = {
            "name": name,
            "kind": kind,
            "settings": _settings(pairs, kinds.get(kind, {}).get("settings", {}).get("properties", {})),
            "template": dict(_pair(text, "--template") for text in template or ()),
            "messages_per_minute": per_minute,
        }
        channel = server.ask("POST", "/api/v1/channels", json=body)
    write_line(f"The channel '{channel['name']}' is there.")
    write_note(f"Try it: weft channels test {shlex.quote(channel['name'])}")


@app.command()
def remove(
    channel: NameArgument,
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove a channel. What waits for it is not delivered any more."""
    with Server.find("alerting", url=url, token=token, config=config, data_dir=data_dir) as server:
        server.ask("DELETE", f"/api/v1/channels/{_quoted(channel)}")
    write_line(f"The channel '{channel}' is removed.")


@app.command("test")
def try_channel(
    channel: NameArgument,
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Send a test message now and print what the other side said. Ends with 1 where it was not delivered."""
    with Server.find("alerting", url=url, token=token, config=config, data_dir=data_dir) as server:
        answer = server.ask("POST", f"/api/v1/channels/{_quoted(channel)}/test")
    write_line(f"{answer['outcome']}: {answer['said']}")
    if answer["outcome"] != "delivered":
        raise typer.Exit(Exit.FAILED)


def _pair(text: str, option: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise Invalid(f"{option} takes name=value, not '{text}'")
    return name, value


def _settings(pairs: Sequence[tuple[str, str]], schema: dict[str, Any]) -> dict[str, Any]:
    """Settings as the server takes them: a name that its kind has as a list becomes one."""
    settings: dict[str, Any] = {}
    for name, value in pairs:
        if schema.get(name, {}).get("type") == "array":
            settings.setdefault(name, []).append(value)
        else:
            settings[name] = value
    return settings


def _ask(field: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(field, hide_input=True, err=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise Invalid(f"the secret '{field}' is not on the input; give it as a line of its own")
    return line


def _quoted(channel: str) -> str:
    from urllib.parse import quote

    return quote(channel, safe="")
