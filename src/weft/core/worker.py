"""Worker: something that works until it is cancelled."""

from collections.abc import Callable
from typing import Protocol


class Worker(Protocol):
    """A named piece of background work.

    There is no stop method and no state: `run` is cancelled to stop it and cleans up in `finally`. An exception that leaves
    `run` means the worker cannot go on, and the process that runs it stops as a whole.
    """

    @property
    def name(self) -> str:
        """Stable name for logs and the verdict, such as `store-writer`."""
        ...

    async def run(self, started: Callable[[], None]) -> None:
        """Work until cancelled; call `started` once when ready to work."""
        ...
