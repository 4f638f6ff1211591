"""Options that several commands share, spelled and explained once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"


class RowFormat(StrEnum):
    """How many rows are written."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file; by default ./config.yaml if there is one.", show_default=False),
]
ServicesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--service",
        "-s",
        help="Role to play: all, ingestion, analytics, alerting, dashboard or storage; may be repeated.",
        show_default="all",
    ),
]
ProcessesOption = Annotated[
    str | None,
    typer.Option(
        "--processes",
        "-p",
        help="Run each role in processes of its own: a number for those that take events in, or 'ingestion=2,storage=1'.",
        show_default="one process plays all roles",
    ),
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Data folder; by default ./weft-data.", show_default=False)
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="WEFT_URL",
        help="Server to talk to; by default the one that runs on the data folder.",
        show_default=False,
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="WEFT_TOKEN",
        help="Access token or API key; by default the local one of the data folder.",
        show_default=False,
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", help="'table' for people, 'json' for programs.")]
RowFormatOption = Annotated[RowFormat, typer.Option("--format", help="'table' for people, the others for programs.")]
