"""`weft audit …`: the ledger of who did what. Works on the database itself; no server is needed, and nothing is changed."""

import sys
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from weft.cli.connect import read_configuration
from weft.cli.exits import Exit
from weft.cli.options import ConfigOption, DataDirOption, Format, FormatOption
from weft.cli.output import write_json, write_line
from weft.core.errors import NotFound

if TYPE_CHECKING:
    from weft.app.settings import Settings
    from weft.audit.key import PublicKey
    from weft.audit.verify import Verification
    from weft.db.database import Database

T = TypeVar("T")

app = typer.Typer(help="Verify and export the ledger of who did what.", no_args_is_help=True, rich_markup_mode=None)

DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", help="Database address; by default that of the data folder.", show_default=False),
]


@app.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(help="What `weft audit export` wrote; by default the database.", show_default=False)
    ] = None,
    *,
    database: DatabaseOption = None,
    key: Annotated[
        list[Path] | None,
        typer.Option(
            "--key",
            help="File with the public key of the signed roots, as `weft audit key` prints it; may be repeated. "
            "By default that of the data folder.",
            show_default=False,
        ),
    ] = None,
    style: FormatOption = Format.TABLE,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Check every entry, the chain over them and the signed root of each day. Exits 1, naming the first that is not right.

    What is signed with a key that is not there counts as not right.
    """
    settings = read_configuration(config, data_dir).settings
    keys = _keys(settings, key or [])
    verification = _run(_verify_file(file, keys) if file is not None else _verify_database(settings, database, keys))
    if style is Format.JSON:
        import msgspec

        write_json(msgspec.to_builtins(verification))
    else:
        write_line(verification.sentence)
    if not verification.ok:
        raise typer.Exit(Exit.FAILED)


@app.command()
def export(*, database: DatabaseOption = None, data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Write the whole ledger as NDJSON: entries, signed roots and the head. `weft audit verify FILE` checks it anywhere."""
    settings = read_configuration(config, data_dir).settings

    async def write() -> None:
        from weft.audit.lines import read_database, write_line

        async with _opened(settings, database) as opened:
            async for line in read_database(opened):
                sys.stdout.buffer.write(write_line(line))
        sys.stdout.buffer.flush()

    _run(write())


@app.command("key")
def show_key(data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Print the public key that the roots are checked with. Keep it, and an export, where this machine cannot write."""
    keys = _keys(read_configuration(config, data_dir).settings, [])
    if not keys:
        raise NotFound("there is no key yet; it is made at the first start")
    write_line(keys[0].pem().rstrip())


def _keys(settings: "Settings", given: list[Path]) -> "list[PublicKey]":
    from weft.audit.key import find_public_key, read_public_keys

    if given:
        return read_public_keys(given)
    own = find_public_key(settings.audit.key_file, settings.app.data_dir / "secrets")
    return [] if own is None else [own]


async def _verify_file(file: Path, keys: "list[PublicKey]") -> "Verification":
    from weft.audit.lines import read_file
    from weft.audit.verify import verify as verified

    return await verified(read_file(file), keys)


async def _verify_database(settings: "Settings", url: str | None, keys: "list[PublicKey]") -> "Verification":
    from weft.audit.lines import read_database
    from weft.audit.verify import verify as verified

    async with _opened(settings, url) as opened:
        return await verified(read_database(opened), keys)


@asynccontextmanager
async def _opened(settings: "Settings", url: str | None) -> "AsyncGenerator[Database]":
    """The database as it is: unlike a start, this brings no schema up to date."""
    from weft.app.resources import database_url
    from weft.db.database import Database

    database = Database(url or database_url(settings), settings=settings.db)
    try:
        yield database
    finally:
        await database.close()


def _run(work: "Awaitable[T]") -> T:
    import asyncio

    async def run() -> T:
        return await work

    return asyncio.run(run())
