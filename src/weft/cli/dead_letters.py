"""`weft dlq …`: events that could not be worked on, set aside with the reason; look at them, hand them in again."""

from typing import Annotated

import typer

from weft.cli.connect import Server
from weft.cli.options import ConfigOption, DataDirOption, RowFormat, RowFormatOption, TokenOption, UrlOption
from weft.cli.output import write_line, write_rows

app = typer.Typer(help="List dead letters, and hand them in again.", no_args_is_help=True, rich_markup_mode=None)

TopicOption = Annotated[str | None, typer.Option("--topic", help="Only those of this topic.", show_default="all")]


@app.command("list")
def list_dead_letters(
    *,
    topic: TopicOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many at most.")] = 100,
    style: RowFormatOption = RowFormat.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """List the dead letters, oldest first."""
    with Server.find("storage", url=url, token=token, config=config, data_dir=data_dir) as server:
        answer = server.ask("GET", "/api/v1/dead-letters", params={"topic": topic, "limit": limit})
    columns = ("topic", "partition", "offset", "attempts", "reason") if style is RowFormat.TABLE else None
    write_rows(answer["data"], style=style, columns=columns)


@app.command()
def replay(
    *,
    topic: TopicOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Hand dead letters in again; what still cannot be worked on comes back."""
    with Server.find("storage", url=url, token=token, config=config, data_dir=data_dir) as server:
        answer = server.ask("POST", "/api/v1/dead-letters/replay", json={"topic": topic} if topic else {})
    write_line(f"Handed in {answer['replayed']} events again.")
