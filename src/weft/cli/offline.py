"""Work on a data folder itself, with or without a server running on it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from weft.cli.connect import read_configuration

if TYPE_CHECKING:
    from weft.app.resources import Resources
    from weft.auth.parts import AuthParts

T = TypeVar("T")


def with_resources(config: Path | None, data_dir: Path | None, work: "Callable[[Resources], Awaitable[T]]") -> T:
    """Do `work` on the resources of a data folder, opened for reading; nothing is started."""
    import asyncio

    from weft import __version__
    from weft.app.resources import Needs, Resources
    from weft.auth.witness import COMMAND_LINE, enter_actor
    from weft.core.clock import SystemClock

    settings = read_configuration(config, data_dir).settings
    _keep_output_clean()

    async def run() -> T:
        enter_actor(COMMAND_LINE)
        async with Resources(settings, Needs(service="cli"), clock=SystemClock(), version=__version__) as resources:
            return await work(resources)

    return asyncio.run(run())


def _keep_output_clean() -> None:
    """What rooms have to say goes to standard error, and only where it is a warning: standard output is the answer."""
    import structlog

    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def with_accounts(config: Path | None, data_dir: Path | None, work: "Callable[[AuthParts], Awaitable[T]]") -> T:
    """Do `work` on the accounts of a data folder. A server that runs there sees it at once or within seconds."""

    async def run(resources: "Resources") -> T:
        return await work(await resources.auth())

    return with_resources(config, data_dir, run)
