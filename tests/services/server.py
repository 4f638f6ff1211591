"""A real server for tests: private folder, free loopback ports, ended by its process id, and mistreated on demand."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import psutil

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0


def free_ports(count: int) -> list[int]:
    """Ports nobody listened on a moment ago, all different."""
    with contextlib.ExitStack() as probes:
        found: list[int] = []
        for _ in range(count):
            probe = probes.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            found.append(probe.getsockname()[1])
        return found


class Server(ABC):
    """One server process. `start` returns when it answers; data lives on in the folder over `kill` and `start` again."""

    name: ClassVar[str]
    user: ClassVar[str | None] = None
    """The system's account to run as where we are root and the server refuses to be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for clients, with its secret."""

    @property
    @abstractmethod
    def port(self) -> int:
        """The port clients connect to."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What to run, in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a client would be served now."""

    def prepare(self) -> None:  # noqa: B027 - some have nothing to prepare
        """Make the folder ready, before every start."""

    def environment(self) -> dict[str, str]:
        """The environment of the process."""
        return dict(os.environ)

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    @property
    def output_file(self) -> Path:
        """What the server printed."""
        return self.folder / "output.txt"

    def start(self) -> Self:
        """Start and wait until it answers."""
        self.prepare()
        if self.user is not None and os.geteuid() == 0:
            subprocess.run(["chown", "-R", self.user, str(self.folder)], check=True)
        with self.output_file.open("ab") as output:
            self._process = subprocess.Popen(
                list(self.command()),
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user if self.user is not None and os.geteuid() == 0 else None,
            )
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                self.kill()
                raise RuntimeError(f"{self.name} did not start:\n{self.output_file.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)  # a server has no other way to tell us
        return self

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9, with everything it started."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers, once this returns: on a busy machine that takes a while."""
        os.killpg(self.pid, signal.SIGSTOP)
        frozen = psutil.Process(self.pid)
        while frozen.status() != psutil.STATUS_STOPPED:
            time.sleep(0.001)

    def thaw(self) -> None:
        """SIGCONT."""
        os.killpg(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)
            os.killpg(self._process.pid, signal.SIGCONT)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None


def listens(port: int) -> bool:
    """Whether somebody accepts connections on a port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
