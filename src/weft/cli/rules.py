"""`weft rules …`: what matters, and whom to tell."""

from pathlib import Path
from typing import Annotated, Any

import typer

from weft.cli.connect import Server
from weft.cli.definition import read_text, read_written_rules
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
from weft.core.errors import Invalid

app = typer.Typer(
    help="List, show, add, remove and try out rules; carry them in files.", no_args_is_help=True, rich_markup_mode=None
)

RuleArgument = Annotated[str, typer.Argument(help="Name or id of the rule.", show_default=False)]
ROLE = "alerting"
PATH = "/api/v1/rules"
_ROWS = 1000


@app.command("list")
def list_rules(
    *,
    style: RowFormatOption = RowFormat.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """List the rules by name, those that come with Weft too."""
    with Server.find(ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        rows = server.ask("GET", PATH, params={"limit": _ROWS})["data"]
    columns = ("name", "condition", "window", "level", "channels", "enabled", "version") if style is RowFormat.TABLE else None
    write_rows(rows, style=style, columns=columns)


@app.command()
def show(
    rule: RuleArgument,
    *,
    why_not: Annotated[bool, typer.Option("--why-not", help="Also why it tells nobody anything at the moment.")] = False,
    style: FormatOption = Format.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Show one rule."""
    with Server.find(ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        found: dict[str, Any] = server.ask("GET", f"{PATH}/{rule}")["data"]
        reason: dict[str, Any] | None = server.ask("GET", f"{PATH}/{rule}/why-not") if why_not else None
    if style is Format.JSON:
        write_json(found if reason is None else {"rule": found, "why_not": reason})
        return
    told = [{"field": name, "value": value} for name, value in found.items() if value not in (None, [], {}, "")]
    write_rows(told, style=style)
    if reason is not None:
        write_line()
        write_line(reason["sentence"])


@app.command()
def add(
    file: Annotated[
        Path | None,
        typer.Argument(help="YAML or JSON with one rule, or with a list called 'rules'; - is the input.", show_default=False),
    ] = None,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Its name.", show_default=False)] = None,
    condition: Annotated[
        str | None, typer.Option("--condition", help="When something is wrong: 'error_rate > 0.05'.", show_default=False)
    ] = None,
    window: Annotated[str, typer.Option("--window", help="The stretch of event time it looks at.")] = "5m",
    level: Annotated[str, typer.Option("--level", help="info, warning, error or critical.")] = "warning",
    channel: Annotated[
        list[str] | None, typer.Option("--channel", help="Whom to tell: a kind or a name; may be repeated.", show_default=False)
    ] = None,
    where: Annotated[str | None, typer.Option("--where", help="Only events of which this is true.", show_default=False)] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="One alert for each value of this; may be repeated.", show_default=False)
    ] = None,
    topic: Annotated[str, typer.Option("--from", help="The topic whose events it judges.")] = "events",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Add rules, or replace those of the same name: from a file, or one from options."""
    if file is not None:
        written = [rule.to_json() for rule in read_written_rules(read_text(file))]
    elif name is not None and condition is not None:
        written = [
            {
                "name": name,
                "condition": condition,
                "window": window,
                "level": level,
                "channels": channel or [],
                "where": where,
                "group_by": by or [],
                "from": topic,
            }
        ]
    else:
        raise Invalid("give a file, or --name and --condition", field="file")
    with Server.find(ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        rows: list[dict[str, Any]] = server.ask("GET", PATH, params={"limit": _ROWS})["data"]
        known = {row["name"]: row["id"] for row in rows}
        for rule in written:
            rule_id = known.get(rule["name"])
            if rule_id is None:
                server.ask("POST", PATH, json=rule)
            else:
                server.ask("PUT", f"{PATH}/{rule_id}", json=rule)
            write_line(f"The rule '{rule['name']}' is {'judged from now on' if rule_id is None else 'changed'}.")


@app.command()
def remove(
    rule: RuleArgument,
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove a rule; its alerts end."""
    with Server.find(ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        server.ask("DELETE", f"{PATH}/{rule}")
    write_line(f"The rule '{rule}' is removed.")
