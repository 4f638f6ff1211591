"""`weft start`: run Weft in this terminal until Ctrl-C."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from weft.cli.connect import read_configuration
from weft.cli.options import ConfigOption, DataDirOption, ProcessesOption, ServicesOption
from weft.cli.output import write_line

if TYPE_CHECKING:
    from weft.app.welcome import Welcome


def start(
    *,
    service: ServicesOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on.", show_default="8000, or the role's own for a single role")
    ] = None,
    processes: ProcessesOption = None,
    share_port: Annotated[
        bool | None,
        typer.Option(
            "--share-port", help="Let other processes with the same roles listen on the same port.", show_default=False
        ),
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Port of a further listener for /metrics alone.", show_default=False)
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    leash: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run Weft here until Ctrl-C or SIGTERM, then finish what is in flight and exit 0. A second Ctrl-C ends it at once."""
    configuration = read_configuration(
        config,
        data_dir,
        services=service or None,
        host=host,
        port=port,
        processes=processes,
        share_port=share_port,
        metrics_port=metrics_port,
    )
    from weft.app.start import run

    run(configuration, welcome=_print_welcome, leash=leash)


def _print_welcome(welcome: "Welcome") -> None:
    for line in welcome.lines(program=sys.argv[0]):
        write_line(line)
    sys.stdout.flush()
