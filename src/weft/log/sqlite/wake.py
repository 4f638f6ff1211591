"""Wake: how appends reach followers in other processes without polling.

Each following process has a FIFO in `followers/`; after a flush the appender writes one byte to each without waiting. A FIFO
nobody reads is the rest of a dead process and is removed.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

APPENDED: Final = b"a"
ERASED: Final = b"e"
ROLL: Final = b"r"
_STAMPING_CLOCK: Final = 5 if sys.platform == "linux" else time.CLOCK_REALTIME
"""CLOCK_REALTIME_COARSE, by which Linux stamps files; Python has no name for it."""


def followers_folder(root: Path) -> Path:
    """Where the FIFOs are."""
    return root / "followers"


class Ear:
    """This process's FIFO: calls back on the loop when somebody appended."""

    def __init__(self, root: Path, heard: Callable[[bytes], None]) -> None:
        folder = followers_folder(root)
        folder.mkdir(exist_ok=True)
        name = f"{os.getpid()}-{uuid4().hex}"
        hidden = folder / f".{name}"
        self.path = folder / f"{name}.fifo"
        os.mkfifo(hidden, 0o600)
        # Open for reading and writing: it never reports end of file, and it exists under its name only once it is read.
        self._descriptor = os.open(hidden, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        hidden.rename(self.path)
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._drain)

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            self._heard(os.read(self._descriptor, 65_536))

    def close(self) -> None:
        """Stop listening."""
        self._loop.remove_reader(self._descriptor)
        self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


class Bell:
    """The appender's side: rings every FIFO but its own process's. For one thread."""

    def __init__(self, root: Path) -> None:
        self._folder = followers_folder(root)
        self._folder.mkdir(exist_ok=True)
        self._descriptors: dict[str, int] = {}
        self._listed_ns = -1
        self._own = ""

    def leave_out(self, name: str) -> None:
        """Do not ring this FIFO: its process hears of appends directly."""
        self._own = name

    def ring(self, sound: bytes = APPENDED) -> None:
        """Wake every follower. Never waits: a full FIFO wakes its reader already."""
        self._look()
        for name, descriptor in list(self._descriptors.items()):
            if name == self._own:
                continue
            try:
                os.write(descriptor, sound)
            except BlockingIOError:
                continue
            except OSError:
                self._remove(name)

    def close(self) -> None:
        """Let go of all."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def _look(self) -> None:
        # A stamp of the present step may hide another change inside the step.
        now_ns = time.clock_gettime_ns(_STAMPING_CLOCK)
        changed_ns = self._folder.stat().st_mtime_ns
        if changed_ns == self._listed_ns:
            return
        names = {entry.name for entry in self._folder.glob("*.fifo")}
        for name in set(self._descriptors) - names:
            os.close(self._descriptors.pop(name))
        for name in names - set(self._descriptors):
            self._open(name)
        self._listed_ns = changed_ns if changed_ns < now_ns else -1

    def _open(self, name: str) -> None:
        try:
            self._descriptors[name] = os.open(self._folder / name, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            (self._folder / name).unlink(missing_ok=True)

    def _remove(self, name: str) -> None:
        os.close(self._descriptors.pop(name))
        (self._folder / name).unlink(missing_ok=True)
