"""`weft identifiers …`: persistent names."""

from typing import Annotated, Any

import typer

from weft.cli.connect import Server
from weft.cli.exits import Exit
from weft.cli.options import ConfigOption, DataDirOption, Format, FormatOption, TokenOption, UrlOption
from weft.cli.output import write_json, write_line, write_note
from weft.core.errors import NotFound

app = typer.Typer(help="Mint, check and resolve ARKs, DOIs and Handles.", no_args_is_help=True, rich_markup_mode=None)

NameArgument = Annotated[
    str, typer.Argument(help="A name in any writing: ark:99999/…, 10.5072/…, a whole address.", show_default=False)
]


@app.command()
def mint(
    target: Annotated[str, typer.Argument(help="What gets the name: kind:id, such as file:0198….", show_default=False)],
    *,
    what: Annotated[str, typer.Option("--what", help="Its title.", show_default=False)],
    who: Annotated[list[str] | None, typer.Option("--who", help="Who made it; may be repeated.", show_default=False)] = None,
    when: Annotated[str | None, typer.Option("--when", help="Year, day or moment it was made.", show_default=False)] = None,
    scheme: Annotated[
        str | None, typer.Option("--scheme", help="ark, doi or handle.", show_default="as the settings say")
    ] = None,
    reserve: Annotated[bool, typer.Option("--reserve", help="Only keep the name; publish it later.")] = False,
    version_of: Annotated[
        str | None, typer.Option("--version-of", help="Name of what this is a later version of.", show_default=False)
    ] = None,
    style: FormatOption = Format.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Mint a name for something. Something that has a name already keeps it."""
    kind, _, target_id = target.partition(":")
    body = {
        "target_kind": kind,
        "target_id": target_id,
        "metadata": {"what": what, "who": who or [], "when": when},
        "scheme": scheme,
        "reserve": reserve,
        "version_of": version_of,
    }
    with Server.find("dashboard", "storage", url=url, token=token, config=config, data_dir=data_dir) as server:
        minted = server.ask("POST", "/api/v1/identifiers", json=body)
    if style is Format.JSON:
        write_json(minted)
        return
    write_line(minted["identifier"])
    if not minted["persistent"]:
        write_note("This name is for trying and not persistent; set identifiers.naan to a NAAN of your own.")


@app.command()
def check(name: NameArgument) -> None:
    """Look at a name without a server: is it well written, and an ARK's check character right? Ends with 1 where not."""
    from weft.identifiers.ark import has_valid_check
    from weft.identifiers.name import read_name

    read = read_name(name)
    write_line(read.canonical)
    if read.scheme != "ark":
        write_line("well written; only ARKs have a check character")
    elif has_valid_check(read.base.removeprefix("ark:")):
        write_line("the check character is right")
    else:
        write_line("the check character is wrong: a slip of the pen, or a name that was made without one")
        raise typer.Exit(Exit.FAILED)


@app.command()
def resolve(
    name: NameArgument,
    *,
    style: FormatOption = Format.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Say what a name names. Ends with 5 where it was never minted here."""
    from urllib.parse import quote

    from weft.identifiers.name import read_name

    asked = read_name(name)
    path = quote(asked.base + "".join(step.mark + step.given for step in asked.steps), safe="/:%")
    with Server.find("dashboard", "storage", url=url, token=token, config=config, data_dir=data_dir) as server:
        found = server.ask("GET", f"/{path}?info", headers={"Accept": "application/json"})
    if style is Format.JSON:
        write_json(found)
        return
    for label, value in _lines(found):
        write_line(f"{label}: {value}")


@app.command()
def publish(
    name: NameArgument,
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a reserved name public. From then on it resolves."""
    with Server.find("dashboard", "storage", url=url, token=token, config=config, data_dir=data_dir) as server:
        changed = server.ask("POST", f"/api/v1/identifiers/{_id_of(server, name)}/publish")
    write_line(f"{changed['identifier']} is public.")


@app.command()
def withdraw(
    name: NameArgument,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Shown for ever to whoever asks.", show_default=False)],
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Withdraw what a name names. The name stays as a tombstone that says why, and is never given to anything else."""
    with Server.find("dashboard", "storage", url=url, token=token, config=config, data_dir=data_dir) as server:
        changed = server.ask("POST", f"/api/v1/identifiers/{_id_of(server, name)}/withdraw", json={"reason": reason})
    write_line(f"{changed['identifier']} is withdrawn: {changed['reason']}")


def _id_of(server: Server, name: str) -> str:
    found = server.ask("GET", "/api/v1/identifiers", params={"name": name})["data"]
    if not found:
        raise NotFound(f"{name} was never minted here")
    return str(found[0]["id"])


def _lines(found: dict[str, Any]) -> list[tuple[str, Any]]:
    metadata = found["metadata"]
    lines = [
        ("identifier", found["identifier"]),
        ("state", found["state"]),
        ("withdrawn", found["reason"]),
        ("who", "; ".join(metadata["who"])),
        ("what", metadata["what"]),
        ("when", metadata["when"]),
        ("page", found["landing"]),
        ("newer version", found["newer"]),
        ("promise", found["commitment"]),
    ]
    return [(label, value) for label, value in lines if value]
