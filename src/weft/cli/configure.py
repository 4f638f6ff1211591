"""`weft init`, `weft version` and `weft config …`: what the program is set to, and why."""

from pathlib import Path
from typing import Annotated

import typer

from weft.cli.connect import read_configuration
from weft.cli.options import ConfigOption, DataDirOption, Format, FormatOption, ProcessesOption, ServicesOption
from weft.cli.output import write_json, write_line, write_note, write_rows
from weft.core.errors import Conflict

app = typer.Typer(help="Show or check the configuration.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def check(
    *,
    service: ServicesOption = None,
    processes: ProcessesOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Look for mistakes in the configuration without starting anything; exits 2 and lists every one."""
    from weft.app.crew import make_crew
    from weft.app.plan import make_plan

    configuration = read_configuration(config, data_dir, services=service or None, processes=processes)
    settings = configuration.settings
    plan = make_plan(settings) if settings.app.processes is None else make_crew(settings)
    place = f"{configuration.file}" if configuration.file else "defaults and environment"
    write_line(f"The configuration is fine ({place}): {plan.summary}.")


@app.command()
def show(
    *,
    changed: Annotated[bool, typer.Option("--changed", help="Only what differs from the defaults.")] = False,
    style: FormatOption = Format.TABLE,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Show every setting, its value and where it came from. Secrets are masked."""
    from weft.app.show import show as shown

    rows = shown(read_configuration(config, data_dir), changed=changed)
    if style is Format.JSON:
        write_json(rows)
    elif rows:
        write_rows(rows, style="table", columns=("field", "value", "origin"))
    else:
        write_note("Nothing differs from the defaults.")


def init(
    *,
    folder: Annotated[Path, typer.Argument(help="Where to write config.yaml.", show_default=False)] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace a config.yaml that is there.")] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Write a commented config.yaml and make the secrets of the data folder."""
    from weft.app.secret_files import make_secrets
    from weft.app.show import example

    file = folder / "config.yaml"
    if file.exists() and not force:
        raise Conflict(f"{file} is there already; --force replaces it")
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(example(), encoding="utf-8")
    write_line(f"Wrote {file}")
    settings = read_configuration(file, data_dir).settings
    for made in make_secrets(settings):
        write_line(f"Made {made}")


def version(style: FormatOption = Format.TABLE) -> None:
    """Show the installed version."""
    import platform

    from weft import __version__

    if style is Format.JSON:
        write_json({"version": __version__, "python": platform.python_version()})
    else:
        write_line(f"weft {__version__} (Python {platform.python_version()})")
