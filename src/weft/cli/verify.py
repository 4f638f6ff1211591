"""`weft verify`: is everything that was acknowledged still there? Reads everything; needs no server and disturbs none."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from weft.cli.exits import Exit
from weft.cli.offline import with_resources
from weft.cli.options import ConfigOption, DataDirOption, Format, FormatOption
from weft.cli.output import write_json, write_line, write_note

if TYPE_CHECKING:
    from weft.app.resources import Resources
    from weft.query.verify import Progress, Verification


def verify(
    *,
    whole: Annotated[
        bool, typer.Option("--all", help="Look every event of the log up in the store, not 10,000 of them.")
    ] = False,
    style: FormatOption = Format.TABLE,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Read the whole log, look its events up in the store, and balance the books. Exits 1 when anything is wrong.

    Works on the data folder itself, whether a server runs on it or not.
    """
    with _progress() as report:

        async def work(resources: "Resources") -> "Verification":
            from weft.query.verify import DEFAULT_SAMPLE
            from weft.query.verify import verify as verified

            return await verified(
                await resources.log(), await resources.store(), sample=None if whole else DEFAULT_SAMPLE, report=report
            )

        verification = with_resources(config, data_dir, work)
    _write(verification, style)
    if not verification.ok:
        raise typer.Exit(Exit.FAILED)


def _write(verification: "Verification", style: Format) -> None:
    if style is Format.JSON:
        import msgspec

        write_json(msgspec.to_builtins(verification))
        return
    if verification.ok:
        write_line(
            f"Everything is there: {verification.log_events} events in the log, {verification.store_events} in the store, "
            f"{verification.looked_up} looked up one by one."
        )
        return
    write_line(f"{verification.problems_total} problems:")
    for problem in verification.problems:
        write_line(f"  {problem.code} at {problem.place}: {problem.why}")
    if verification.problems_total > len(verification.problems):
        write_note(f"({verification.problems_total - len(verification.problems)} more are not listed)")


@contextmanager
def _progress() -> "Generator[Callable[[Progress], None]]":
    """A progress bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        tasks = {step: bars.add_task(f"reading the {step}", total=None) for step in ("log", "store")}
        yield lambda progress: bars.update(tasks[progress.step], total=progress.total, completed=progress.done)
