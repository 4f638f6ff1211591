"""`weft db`: work on the database of accounts as a whole."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from weft.cli.exits import Exit
from weft.cli.offline import with_resources
from weft.cli.options import ConfigOption, DataDirOption, Format, FormatOption
from weft.cli.output import write_json, write_line, write_note, write_rows

if TYPE_CHECKING:
    from weft.app.resources import Resources
    from weft.db.copy import Compared

app = typer.Typer(help="Work on the database of accounts, sessions and keys.", no_args_is_help=True, rich_markup_mode=None)


@app.command("copy")
def copy(
    *,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="Where to: postgresql://user:password@host/database or sqlite:////absolute/path/weft.db.",
            show_default=False,
        ),
    ],
    style: FormatOption = Format.TABLE,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Copy every account, session and key of the configured database to an empty one, and prove it by digests of both sides.

    Stop Weft first: what changes afterwards is not in the copy. Exits 1, and keeps nothing, where the two sides differ.
    """

    async def work(resources: "Resources") -> "Sequence[Compared]":
        from weft.app.copy_database import copy_configured_database

        return await copy_configured_database(resources, to)

    compared = with_resources(config, data_dir, work)
    _write(compared, style)
    if not all(table.same for table in compared):
        raise typer.Exit(Exit.FAILED)


def _write(compared: "Sequence[Compared]", style: Format) -> None:
    same = all(table.same for table in compared)
    total = sum(table.source.rows for table in compared)
    rows = [
        {
            "table": table.table,
            "rows": table.source.rows,
            "rows_copied": table.target.rows,
            "digest": table.source.digest,
            "digest_of_copy": table.target.digest,
            "same": table.same,
        }
        for table in compared
    ]
    if style is Format.JSON:
        write_json({"same": same, "rows": total, "tables": rows})
        return
    write_rows([{**row, **{name: str(row[name])[:16] for name in ("digest", "digest_of_copy")}} for row in rows], style="table")
    if same:
        write_line(f"Both sides hold the same {total} rows.")
        write_note("The keys in the folder 'secrets' are not in the database; they go to the new place too.")
    else:
        different = ", ".join(table.table for table in compared if not table.same)
        write_note(f"The copy differs from the original in: {different}. Nothing was kept.")
