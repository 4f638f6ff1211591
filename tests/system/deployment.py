"""Weft as its users run it: installed, as processes, on free ports, in a data folder of its own.

A scenario gets a `Deployment` and does not know whether all roles are one process (`together`) or one process each (`apart`),
nor what they stand on.
"""

import atexit
import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

Found = TypeVar("Found")
ROLES = ("ingestion", "storage", "dashboard")
"""What most scenarios are about; a deployment may be told to play more."""
START_S = 40.0
STOP_S = 30.0
QUICK = {
    "WEFT_API__RATE_LIMIT_ENABLED": "false",
    "WEFT_API__ACCESS_LOG": "failures",
    "WEFT_INGEST__HOST_SOURCE": "false",
}


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without anything that could reach Weft's settings by chance."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WEFT_") and name not in {"PYTHONDONTWRITEBYTECODE", "ENVIRONMENT", "DEBUG", "LOG_LEVEL"}
    }
    return {**inherited, **(extra or {})}


def wait_until(look: Callable[[], Found | None], failure: str, *, within_s: float = START_S) -> Found:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError(failure)


class Nursery:
    """The parent of ready-made processes (see `ready_made.py`), one for the whole test run."""

    _only: "Nursery | None" = None

    def __init__(self) -> None:
        self._exits = Path(tempfile.mkdtemp(prefix="weft-exits-"))
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.system.ready_made", str(self._exits)],
            env=clean_environment({"OPENBLAS_NUM_THREADS": "1"}),
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"
        atexit.register(self.close)

    @classmethod
    def get(cls) -> "Nursery":
        if cls._only is None:
            cls._only = cls()
        return cls._only

    def start(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, output: Path, errors: Path
    ) -> int:
        """The process id of a new process."""
        assert self._parent.stdin is not None
        request = {
            "arguments": arguments,
            "environment": environment,
            "folder": str(folder),
            "output": str(output),
            "errors": str(errors),
        }
        self._parent.stdin.write(json.dumps(request) + "\n")
        self._parent.stdin.flush()
        return int(self._line())

    def exit_code(self, pid: int) -> int | None:
        """The exit code of a process that has ended."""
        file = self._exits / str(pid)
        return int(file.read_text(encoding="utf-8")) if file.exists() else None

    def close(self) -> None:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(STOP_S)
        self._parent.stdout.close()
        shutil.rmtree(self._exits, ignore_errors=True)

    def _line(self) -> str:
        assert self._parent.stdout is not None
        return self._parent.stdout.readline().strip()


class Process:
    """One `weft start`."""

    def __init__(self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.data_dir = folder / "data"
        self.output = folder / f"output-{time.monotonic_ns()}.txt"
        self.output.touch()
        self.pid = self.launch(
            ["start", "--data-dir", str(self.data_dir), "--port", "0", *arguments],
            clean_environment({**QUICK, **(environment or {})}),
            folder,
        )

    def launch(self, arguments: list[str], environment: dict[str, str], folder: Path) -> int:
        """Start it; its process id."""
        return Nursery.get().start(arguments, environment=environment, folder=folder, output=self.output, errors=self.output)

    def exit_code(self) -> int | None:
        """Its exit code, None while it runs."""
        return Nursery.get().exit_code(self.pid)

    @property
    def text(self) -> str:
        """Everything it printed so far."""
        return self.output.read_text(encoding="utf-8")

    def url(self) -> str:
        """Its address, once it is up."""
        return wait_until(self._url, f"it was not up after {START_S} s:\n{self.text}")

    def url_now(self) -> str | None:
        """Its address, or None while it has none."""
        if self.exit_code() is not None:
            return None
        for file in (self.data_dir / "run").glob(f"*-{self.pid}.json"):
            with contextlib.suppress(FileNotFoundError):  # it is stopping just now
                return str(json.loads(file.read_text(encoding="utf-8"))["url"])
        return None

    def _url(self) -> str | None:
        assert self.exit_code() is None, f"it ended with {self.exit_code()}:\n{self.text}"
        return self.url_now()

    def client(self) -> httpx.Client:
        """A client with the rights of the local command line."""
        url = self.url()
        key = (self.data_dir / "secrets" / "local.key").read_text(encoding="utf-8")
        return httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=30, trust_env=False)

    def wait_for(self, text: str) -> str:
        """Everything it printed, once `text` is in it."""
        return wait_until(lambda: self.text if text in self.text else None, f"'{text}' was never printed")

    def wait_for_events(self, source: str) -> None:
        """Until the store holds events whose source begins so."""
        with self.client() as client:

            def found() -> bool | None:
                groups = client.get("/events/aggregations", params={"group_by": "source"}).json()["aggregations"]
                return any(name.startswith(source) for name in groups) or None

            wait_until(found, f"no event of {source} came")

    def signal(self, number: signal.Signals) -> None:
        if self.exit_code() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Its exit code."""
        return wait_until(self.exit_code, f"it did not end within {STOP_S} s", within_s=STOP_S)

    def stop(self) -> int:
        """Ask it to end as a service manager does; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()


class FreshProcess(Process):
    """One `weft start` by a new interpreter, as a person starts it."""

    def launch(self, arguments: list[str], environment: dict[str, str], folder: Path) -> int:
        with self.output.open("wb") as output:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "weft", *arguments], env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT
            )
        return self._child.pid

    def exit_code(self) -> int | None:
        return self._child.poll()


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


class Deployment:
    """Every role, each playing it once, on one data folder. More processes (`spawn`) may join.

    On servers that machines share, a process that joins has a data folder of its own, as on another machine.
    """

    def __init__(
        self, folder: Path, topology: str, environment: Mapping[str, str] | None = None, *, is_networked: bool = False
    ) -> None:
        self.folder = folder
        self.topology = topology
        self.is_networked = is_networked
        self.roles = ROLES
        self.environment = {
            "WEFT_LOG__PARTITIONS": "4",
            "WEFT_INGEST__OTHER_TOPICS": "true",
            **(environment or {}),
        }
        if is_networked:
            self.environment.setdefault("WEFT_AUTH__SECRET_KEY", secrets.token_urlsafe(48))
        self.processes: dict[str, Process] = {}
        self._joined: list[Process] = []

    def start(self) -> "Deployment":
        """Every process, up and running."""
        self.start_missing()
        for role in self.roles:
            self.url(role)
        return self

    def start_missing(self) -> None:
        """Start every process that does not run; nobody waits for them to be up, but the log is there."""
        for roles in (self.roles,) if self.topology == "together" else tuple((role,) for role in self.roles):
            running = self.processes.get(roles[0])
            if running is None or running.exit_code() is not None:
                arguments = [part for role in roles for part in ("--service", role)]
                process = Process(self.folder, *arguments, environment=self.environment)
                self.processes |= dict.fromkeys(roles, process)
                if roles[0] == "ingestion" and not self.is_networked and not (self.data_dir / "log").exists():
                    process.url()

    def choose(self, chance: random.Random) -> list[Process]:
        """Some of the processes, at least one."""
        distinct = list(dict.fromkeys(self.processes.values()))
        return chance.sample(distinct, chance.randint(1, len(distinct)))

    def spawn(self, role: str) -> Process:
        """One more process that plays a role; nobody waits for it to be up."""
        folder = self.folder
        if self.is_networked:
            folder = self.folder / f"machine-{len(self._joined) + 2}"
            folder.mkdir()
        self._joined.append(Process(folder, "--service", role, environment=self.environment))
        return self._joined[-1]

    def start_role(self, role: str) -> None:
        """Start a role again that died or was stopped, and all that its process played."""
        roles = [name for name in self.roles if self.processes[name] is self.processes[role]]
        arguments = [part for name in roles for part in ("--service", name)]
        process = Process(self.folder, *arguments, environment=self.environment)
        self.processes |= dict.fromkeys(roles, process)
        process.url()

    def url(self, role: str) -> str:
        return self.processes[role].url()

    def url_now(self, role: str) -> str | None:
        """The address of a role's process, or None while it has none."""
        return self.processes[role].url_now()

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def stop(self) -> list[int]:
        """End every process as a service manager does; their exit codes."""
        distinct = list(dict.fromkeys(self.processes.values()))
        return [process.stop() for process in distinct]

    def kill(self) -> None:
        """kill -9, those that joined too."""
        for process in dict.fromkeys([*self.processes.values(), *self._joined]):
            process.kill()

    def print_output(self) -> None:
        """What every process printed, for a test that failed."""
        for process in dict.fromkeys([*self.processes.values(), *self._joined]):
            print(f"--- {process.output}\n{process.text[-6000:]}")

    def client(self, role: str) -> httpx.Client:
        """A client with the rights of the local command line."""
        return self.processes[role].client()

    def weft(self, *arguments: str, check: bool = True) -> Done:
        """The command line on this data folder."""
        return run_weft(*arguments, "--data-dir", str(self.data_dir), cwd=self.folder, check=check, extra=self.environment)


def run_weft(*arguments: str, cwd: Path, check: bool = True, extra: Mapping[str, str] | None = None) -> Done:
    """One command, finished."""
    nursery = Nursery.get()
    with tempfile.TemporaryDirectory(prefix="weft-command-") as name:
        output, errors = Path(name) / "output", Path(name) / "errors"
        pid = nursery.start(arguments, environment=clean_environment(extra), folder=cwd, output=output, errors=errors)
        code = wait_until(lambda: nursery.exit_code(pid), f"weft {' '.join(arguments)} never ended", within_s=100)
        done = Done(code, output.read_text(encoding="utf-8"), errors.read_text(encoding="utf-8"))
    if check:
        assert done.returncode == 0, f"weft {' '.join(arguments)} ended with {code}:\n{done.stdout}{done.stderr}"
    return done
