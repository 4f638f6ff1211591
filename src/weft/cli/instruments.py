"""`weft instruments …`: the instruments whose files are kept."""

from typing import Annotated

import typer

from weft.cli.connect import Server
from weft.cli.options import ConfigOption, DataDirOption, RowFormat, RowFormatOption, TokenOption, UrlOption
from weft.cli.output import write_line, write_rows

app = typer.Typer(help="List, add and delete instruments.", no_args_is_help=True, rich_markup_mode=None)

_PATH = "/api/instruments"
_ROWS = 500
_COLUMNS = ("name", "cifs_host", "cifs_share", "enabled", "last_harvested_at", "id")


@app.command("list")
def list_instruments(
    *,
    style: RowFormatOption = RowFormat.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """List the instruments, the oldest first."""
    rows: list[dict[str, object]] = []
    with Server.find("dashboard", url=url, token=token, config=config, data_dir=data_dir) as server:
        while page := server.ask("GET", _PATH, params={"skip": len(rows), "limit": _ROWS})["items"]:
            rows += page
    write_rows(rows, style=style, columns=_COLUMNS if style is RowFormat.TABLE else None)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What it is called; its files' folder gets this name.", show_default=False)],
    *,
    host: Annotated[str, typer.Option("--host", help="The computer that shares its files.", show_default=False)],
    share: Annotated[str, typer.Option("--share", help="The name of the share.", show_default=False)],
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where the computer answers.")] = 445,
    path: Annotated[str | None, typer.Option("--path", help="The folder on the share to begin in.", show_default=False)] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="Id of the service account that reads the share.", show_default=False)
    ] = None,
    quiet_s: Annotated[
        float | None,
        typer.Option("--quiet-s", min=0, help="Seconds a file is left alone before it is complete.", show_default=False),
    ] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Add an instrument."""
    body = {
        "name": name,
        "cifs_host": host,
        "cifs_share": share,
        "cifs_port": port,
        "cifs_base_path": path,
        "service_account_id": account,
        "transfer_config": None if quiet_s is None else {"quiet_s": quiet_s},
    }
    with Server.find("dashboard", url=url, token=token, config=config, data_dir=data_dir) as server:
        made = server.ask("POST", _PATH, json=body)
    write_line(f"The instrument '{made['name']}' is there: {made['id']}")


@app.command()
def delete(
    instrument: Annotated[str, typer.Argument(help="Its id.", show_default=False)],
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Delete an instrument. What came from it stays, and `restore` brings it back."""
    with Server.find("dashboard", url=url, token=token, config=config, data_dir=data_dir) as server:
        server.ask("DELETE", f"{_PATH}/{instrument}")
    write_line(f"The instrument {instrument} is deleted; it comes back with: weft instruments restore {instrument}")


@app.command()
def restore(
    instrument: Annotated[str, typer.Argument(help="Its id.", show_default=False)],
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Bring a deleted instrument back, switched off."""
    with Server.find("dashboard", url=url, token=token, config=config, data_dir=data_dir) as server:
        made = server.ask("POST", f"{_PATH}/{instrument}/restore")
    write_line(f"The instrument '{made['name']}' is back, switched off.")
