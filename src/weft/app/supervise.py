"""The supervisor: runs a crew as processes of its own, starts again what died, and ends all of them in order.

Its processes write their log lines themselves, to the same standard output. They end when it ends, killed or not: each holds
one end of a socket, and its closing asks for an orderly end (see `leash`).
"""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Final

import msgspec

from weft import __version__
from weft.app.config import Configuration
from weft.app.crew import Crew, Replicas
from weft.app.leash import Up
from weft.app.process import Stop, bind, url_of
from weft.app.welcome import Listener, Welcome, welcome_of
from weft.core.clock import Clock
from weft.core.errors import WeftError

logger = logging.getLogger(__name__)

SUPERVISOR: Final = "supervisor"
SHORT_LIFE_S: Final = 60.0
SHORT_LIVES_MOST: Final = 8
"""A process that lives so short so often in a row will do so again; then everything ends, and says why. With the pauses between
that takes more than a minute: a broker or a database that is started again is waited for."""
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
GRACE_S: Final = 30.0
"""What a process may take to end beyond the drain it was set; then it is killed, which loses nothing acknowledged."""


class CrewFailed(WeftError):
    """One of the processes cannot be kept up, so none goes on."""


class Child:
    """One process of the crew, kept up for as long as it is wanted."""

    def __init__(
        self, replicas: Replicas, command: Sequence[str], clock: Clock, *, first_pause_s: float = FIRST_PAUSE_S
    ) -> None:
        self.replicas = replicas
        self.up = asyncio.Event()
        self.told = Up()
        """What it said when its doors were open for the first time."""
        self._command = command
        self._clock = clock
        self._first_pause_s = first_pause_s
        self._ending = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._short_lives = 0

    async def keep(self) -> None:
        """Run the process, and again when it ends unasked. Raises CrewFailed where that is no use."""
        while not self._ending.is_set():
            code, up_s = await self._live()
            if self._ending.is_set():
                self._check_end(code, was_up=up_s is not None)
            elif not self.up.is_set():
                raise CrewFailed(f"{self.replicas.label} could not start and ended with {code}; what it said is above")
            elif code == 0 and up_s is not None:
                logger.info("process_starts_again", extra={"label": self.replicas.label})
            else:
                await self._pause(code, up_s or 0.0)

    def end(self) -> None:
        """Ask it to drain and to end, and start it no more."""
        self._ending.set()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._ending.set()
        self._signal(signal.SIGKILL)

    async def _live(self) -> tuple[int, float | None]:
        """One life: its exit code, and for how long its doors were open in it; None where they never were."""
        ours, theirs = socket.socketpair()
        with theirs:
            leash = str(theirs.fileno())
            self._process = await asyncio.create_subprocess_exec(
                *self._command, "--leash", leash, stdin=asyncio.subprocess.DEVNULL, pass_fds=(theirs.fileno(),),
                process_group=0,  # else Ctrl-C would reach all of them at once, and the store would end before the doors
            )  # fmt: skip
        if self._ending.is_set():
            self._signal(signal.SIGTERM)
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            line = await reader.readline()
            up_since_s = self._clock.steady_s()
            if line and not self.up.is_set():
                self.told = msgspec.json.decode(line, type=Up)
                self.up.set()
            code = await self._process.wait()
            return code, self._clock.steady_s() - up_since_s if line else None
        finally:
            writer.close()

    def _check_end(self, code: int, *, was_up: bool) -> None:
        if code and was_up:
            raise CrewFailed(f"{self.replicas.label} did not end in order, but with {code}; what it said is above")

    async def _pause(self, code: int, up_s: float) -> None:
        """Wait before the next life: longer each time. Raises CrewFailed where too many in a row were short."""
        self._short_lives = self._short_lives + 1 if up_s < SHORT_LIFE_S else 1
        if self._short_lives == SHORT_LIVES_MOST:
            raise CrewFailed(
                f"{self.replicas.label} ended {SHORT_LIVES_MOST} times in a row soon after its start, last with {code}; "
                "what it said is above"
            )
        pause_s = min(self._first_pause_s * 2 ** (self._short_lives - 1), LONGEST_PAUSE_S)
        logger.error("process_ended", extra={"label": self.replicas.label, "exit_code": code, "again_in_s": pause_s})
        try:
            await asyncio.wait_for(self._ending.wait(), pause_s)
        except TimeoutError:
            return

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


class Supervisor:
    """Runs a crew until a signal ends it or a process cannot be kept up."""

    def __init__(self, configuration: Configuration, crew: Crew, clock: Clock) -> None:
        self._configuration = configuration
        self._crew = crew
        self._clock = clock
        self._children: list[Child] = []
        self._tasks: dict[Child, asyncio.Task[None]] = {}
        self._failures: list[BaseException] = []

    async def run(self, welcome: Callable[[Welcome], None]) -> None:
        """Start all, keep all up, end all. `welcome` is called once, when every door is open.

        Raises CrewFailed where a process cannot be kept up or does not end in order, Conflict where a port is taken.
        """
        stop = Stop(last_words=self._kill)
        with ExitStack() as sockets, stop.listening():
            listeners = self._place(sockets)
            try:
                # The first one makes what all share (accounts, secrets, folders); the others need not wait for each other.
                if await self._started(self._children[:1], stop) and await self._started(self._children[1:], stop):
                    welcome(self._welcome(listeners))
                    await stop.wait()
            finally:
                logger.info("draining")
                await self._end()
        if self._failures:
            raise self._failures[0]

    def _place(self, sockets: ExitStack) -> list[Listener]:
        """Choose a port for each kind of process, and prepare the processes.

        A shared port stays bound here, without a listener, so that nobody takes it while one of them starts again.
        """
        listeners: list[Listener] = []
        for kind in self._crew.kinds:
            with bind(self._crew.host, kind.port) as chosen:  # alone: a port that is taken is a mistake
                port = chosen.getsockname()[1]
            if kind.count > 1:
                sockets.enter_context(bind(self._crew.host, port, shared=True))
            listeners.append(Listener(service=kind.label, url=url_of(self._crew.host, port), count=kind.count))
            for _ in range(kind.count):
                aside = self._metrics_port(len(self._children))
                self._children.append(Child(kind, _command(self._configuration, kind, port, aside), self._clock))
        return listeners

    def _metrics_port(self, number: int) -> int | None:
        """Where the process of this number serves nothing but /metrics; they count up. Raises Conflict where it is taken."""
        first = self._configuration.settings.app.metrics_port
        if not first:
            return first
        with bind(self._crew.host, first + number):
            return first + number

    async def _started(self, children: Sequence[Child], stop: Stop) -> bool:
        """Start them and wait until all are up; False where the end came first."""
        for child in children:
            self._tasks[child] = asyncio.create_task(child.keep(), name=child.replicas.label)
            self._tasks[child].add_done_callback(lambda task: self._ended(task, stop))
        awaited = [asyncio.create_task(_all_up(children)), asyncio.create_task(stop.wait())]
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        for waiting in awaited:
            waiting.cancel()
        return not stop.is_set()

    def _ended(self, task: "asyncio.Task[None]", stop: Stop) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._failures.append(failure)
            stop.set()

    async def _end(self) -> None:
        """The doors first, the store last: what the doors took in is still written on the way."""
        await self._end_all(child for child in self._tasks if not child.replicas.owns_store)
        await self._end_all(child for child in self._tasks if child.replicas.owns_store)

    async def _end_all(self, children: Iterable[Child]) -> None:
        ending = {self._tasks[child]: child for child in children}
        if not ending:
            return
        for child in ending.values():
            child.end()
        app = self._configuration.settings.app
        _, late = await asyncio.wait(ending, timeout=app.drain_notice_s + app.drain_timeout_s + GRACE_S)
        for task in late:
            logger.error("process_killed", extra={"label": ending[task].replicas.label})
            ending[task].kill()
        if late:
            await asyncio.wait(late)

    def _kill(self) -> None:
        for child in self._children:
            child.kill()

    def _welcome(self, listeners: Sequence[Listener]) -> Welcome:
        made = (child.told.administrator for child in self._children)
        roles = [role.name for kind in self._crew.kinds for role in kind.roles]
        front = next((i for i, kind in enumerate(self._crew.kinds) if "ingestion" in kind.label), 0)
        return welcome_of(
            self._configuration,
            service=SUPERVISOR,
            roles=tuple(roles),
            version=self._configuration.settings.app.version or __version__,
            url=listeners[front].url,
            made=next((found for found in made if found is not None), None),
            listeners=tuple(listeners),
        )


async def _all_up(children: Sequence[Child]) -> None:
    for child in children:
        await child.up.wait()


def _command(configuration: Configuration, kind: Replicas, port: int, metrics_port: int | None) -> list[str]:
    """What starts one process: the words of the supervisor's own command, and what is its alone."""
    command = [sys.executable, "-P", "-m", "weft", "start", "--port", str(port)]
    for role in kind.roles:
        command += ["--service", role.name]
    if kind.count > 1:
        command.append("--share-port")
    app = configuration.settings.app
    if metrics_port is not None:
        command += ["--metrics-port", str(metrics_port)]
    if configuration.file is not None:
        command += ["--config", str(configuration.file)]
    for name, flag, value in (("host", "--host", app.host), ("data_dir", "--data-dir", app.data_dir)):
        if configuration.origin(("app", name)).kind == "flag":
            command += [flag, str(value)]
    return command
