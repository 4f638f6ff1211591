"""`weft alerts …`: what goes on, why, and taking it on."""

from typing import Annotated, Any

import typer

from weft.cli.connect import Server
from weft.cli.options import (
    ConfigOption,
    DataDirOption,
    Format,
    FormatOption,
    RowFormat,
    RowFormatOption,
    TokenOption,
    UrlOption,
)
from weft.cli.output import write_json, write_line, write_rows

app = typer.Typer(help="List, show, acknowledge and resolve alerts, and ask why.", no_args_is_help=True, rich_markup_mode=None)

AlertArgument = Annotated[str, typer.Argument(help="Id of the alert.", show_default=False)]
CommentOption = Annotated[str | None, typer.Option("--comment", help="What is being done, or was.", show_default=False)]
_ROLE = "alerting"
_PATH = "/api/v1/alerts"
_COLUMNS = ("id", "status", "level", "title", "key", "started_at", "acknowledged_by")


@app.command("list")
def list_alerts(
    *,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", help="open, active, pending, firing, resolved, …; may be repeated.", show_default="open"),
    ] = None,
    level: Annotated[list[str] | None, typer.Option("--level", help="May be repeated.", show_default=False)] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Those of one rule, by name or id.", show_default=False)] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Alerts at most.")] = 100,
    style: RowFormatOption = RowFormat.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """List alerts, those that began last first."""
    asked: dict[str, Any] = {"status": status or ["open"], "level": level, "rule_id": rule, "limit": limit}
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        rows = server.ask("GET", _PATH, params={name: value for name, value in asked.items() if value})["data"]
    write_rows(rows, style=style, columns=_COLUMNS if style is RowFormat.TABLE else None)


@app.command()
def show(
    alert: AlertArgument,
    *,
    style: FormatOption = Format.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Show one alert and what happened to it."""
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        found: dict[str, Any] = server.ask("GET", f"{_PATH}/{alert}")["data"]
        history = server.ask("GET", f"{_PATH}/{alert}/history")["data"]
    if style is Format.JSON:
        write_json({**found, "history": history})
        return
    write_line(found["message"])
    write_line()
    write_rows(history, style=style, columns=("at", "change", "level", "by", "reason"))


@app.command()
def why(
    alert: AlertArgument,
    *,
    style: FormatOption = Format.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Say why an alert is there: the window, and the value of every part of the condition."""
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        found: dict[str, Any] = server.ask("GET", f"{_PATH}/{alert}/why")
    if style is Format.JSON:
        write_json(found)
        return
    write_line(found["sentence"])
    evidence: dict[str, Any] | None = found["fired"] or found["last"]
    if evidence is None:
        return
    rule = found["rule"]
    write_line(f"Rule '{rule['name']}' version {rule['version']}; window {evidence['start']} to {evidence['end']}.")
    write_line()
    for reason in evidence.get("reasons", []):
        steps = [{"part": "  " * step["depth"] + step["text"], "value": step["value"]} for step in reason["steps"]]
        write_rows(steps, style=style)
    if evidence.get("first_offsets"):
        places = ", ".join(
            f"partition {part} offsets {first} to {evidence['last_offsets'][part]}"
            for part, first in evidence["first_offsets"].items()
        )
        write_line(f"The events are in '{evidence['topic']}', {places}.")


@app.command()
def acknowledge(
    alert: AlertArgument,
    *,
    comment: CommentOption = None,
    until: Annotated[
        str | None, typer.Option("--until", help="When it counts no longer: 2027-01-31T12:00:00Z.", show_default=False)
    ] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Take an alert on: nobody is reminded, nothing escalates."""
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        found = server.ask("POST", f"{_PATH}/{alert}/acknowledge", json={"comment": comment, "until": until})["data"]
    write_line(f"{found['acknowledged_by']} has taken on '{found['title']}'.")


@app.command()
def resolve(
    alert: AlertArgument,
    *,
    comment: CommentOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Say that an alert is over."""
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        found = server.ask("POST", f"{_PATH}/{alert}/resolve", json={"comment": comment})["data"]
    write_line(f"'{found['title']}' is over.")
