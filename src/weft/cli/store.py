"""`weft store`: work on the store as a whole."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from weft.cli.exits import Exit
from weft.cli.offline import with_resources
from weft.cli.options import ConfigOption, DataDirOption, Format, FormatOption
from weft.cli.output import write_json, write_line, write_note, write_rows

if TYPE_CHECKING:
    from weft.app.resources import Resources
    from weft.store.copy import Compared, Progress

app = typer.Typer(help="Work on the store as a whole.", no_args_is_help=True)


@app.command("copy")
def copy(
    *,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="Where to: postgresql://user:password@host/database or parquet:///absolute/path.",
        ),
    ],
    new_log: Annotated[
        bool, typer.Option("--new-log", help="The copy will go on with another log, whose offsets begin anew.")
    ] = False,
    style: FormatOption = Format.TABLE,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Copy every event of the configured store to another one, and prove it by a digest of both sides.

    Stop Weft first. A copy that was interrupted goes on when started again. Exits 1 when the two sides differ.
    """
    with _progress() as report:

        async def work(resources: "Resources") -> "Sequence[Compared]":
            from weft.app.copy_store import copy_configured_store

            return await copy_configured_store(resources, to, as_history=new_log, report=report)

        compared = with_resources(config, data_dir, work)
    _write(compared, style)
    if not all(part.same for part in compared):
        raise typer.Exit(Exit.FAILED)


def _write(compared: "Sequence[Compared]", style: Format) -> None:
    rows = [
        {
            "topic": part.topic,
            "month": part.month,
            "events": part.source.events,
            "events_copied": part.target.events,
            "digest": part.source.text,
            "digest_of_copy": part.target.text,
            "same": part.same,
        }
        for part in compared
    ]
    same = all(part.same for part in compared)
    if style is Format.JSON:
        write_json({"same": same, "events": sum(part.source.events for part in compared), "parts": rows})
        return
    shown = [
        {**row, "digest": part.source.text[:16], "digest_of_copy": part.target.text[:16]}
        for row, part in zip(rows, compared, strict=True)
    ]
    write_rows(shown, style="table")
    if same:
        write_line(f"Both sides hold the same {sum(part.source.events for part in compared)} events.")
    else:
        different = ", ".join(f"{part.topic} {part.month}" for part in compared if not part.same)
        write_note(f"The copy differs from the original in: {different}. Copy again into an empty store.")


@contextmanager
def _progress() -> "Generator[Callable[[Progress], None]]":
    """A progress bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        tasks = {step: bars.add_task(step, total=None) for step in ("copying", "reading back")}
        yield lambda progress: bars.update(tasks[progress.step], total=progress.total, completed=progress.done)
