"""Weft as its users run it: installed, as processes, on free ports, in a data folder of its own.

A scenario gets a `Deployment` and does not know whether all roles are one process (`together`) or one process each (`apart`).
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx

Found = TypeVar("Found")
ROLES = ("ingestion", "storage", "dashboard")
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


class Process:
    """One `weft start`."""

    def __init__(self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.data_dir = folder / "data"
        self.output = folder / f"output-{time.monotonic_ns()}.txt"
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "weft", "start", "--data-dir", str(self.data_dir), "--port", "0", *arguments],
                env=clean_environment({**QUICK, **(environment or {})}),
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def text(self) -> str:
        """Everything it printed so far."""
        return self.output.read_text(encoding="utf-8")

    def url(self) -> str:
        """Its address, once it is up."""
        return wait_until(self._url, f"it was not up after {START_S} s:\n{self.text}")

    def _url(self) -> str | None:
        assert self._process.poll() is None, f"it ended with {self._process.returncode}:\n{self.text}"
        for file in (self.data_dir / "run").glob(f"*-{self.pid}.json"):
            return str(json.loads(file.read_text(encoding="utf-8"))["url"])
        return None

    def wait_for(self, text: str) -> str:
        """Everything it printed, once `text` is in it."""
        return wait_until(lambda: self.text if text in self.text else None, f"'{text}' was never printed")

    def wait_for_events(self, source: str) -> None:
        """Until the store holds events whose source begins so."""
        key = (self.data_dir / "secrets" / "local.key").read_text(encoding="utf-8")
        with httpx.Client(base_url=self.url(), headers={"X-API-Key": key}, timeout=30) as client:

            def found() -> bool | None:
                groups = client.get("/events/aggregations", params={"group_by": "source"}).json()["aggregations"]
                return any(name.startswith(source) for name in groups) or None

            wait_until(found, f"no event of {source} came")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def wait(self) -> int:
        """Its exit code."""
        return self._process.wait(STOP_S)

    def stop(self) -> int:
        """Ask it to end as a service manager does; its exit code."""
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()


class Deployment:
    """Every role on one data folder."""

    def __init__(self, folder: Path, topology: str, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.topology = topology
        self.environment = {"WEFT_LOG__PARTITIONS": "4", **(environment or {})}
        self.processes: dict[str, Process] = {}

    def start(self) -> "Deployment":
        groups = (ROLES,) if self.topology == "together" else (("ingestion",), ("storage",), ("dashboard",))
        for roles in groups:
            arguments = [part for role in roles for part in ("--service", role)]
            process = Process(self.folder, *arguments, environment=self.environment)
            process.url()
            self.processes |= dict.fromkeys(roles, process)
        return self

    def spawn(self, role: str) -> Process:
        """One more process that plays a role; nobody waits for it to be up."""
        return Process(self.folder, "--service", role, environment=self.environment)

    def start_role(self, role: str) -> None:
        """Start a role again that died."""
        self.processes[role] = self.spawn(role)
        self.processes[role].url()

    def url(self, role: str) -> str:
        return self.processes[role].url()

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def stop(self) -> list[int]:
        """End every process as a service manager does; their exit codes."""
        distinct = list(dict.fromkeys(self.processes.values()))
        return [process.stop() for process in distinct]

    def kill(self) -> None:
        for process in dict.fromkeys(self.processes.values()):
            process.kill()

    def client(self, role: str) -> httpx.Client:
        """A client with the rights of the local command line."""
        key = (self.data_dir / "secrets" / "local.key").read_text(encoding="utf-8")
        return httpx.Client(base_url=self.url(role), headers={"X-API-Key": key}, timeout=30)

    def weft(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command line on this data folder."""
        return run_weft(*arguments, "--data-dir", str(self.data_dir), cwd=self.folder, check=check)


def run_weft(*arguments: str, cwd: Path, check: bool = True, extra: Mapping[str, str] | None = None) -> Any:
    """One command, finished."""
    done = subprocess.run(
        [sys.executable, "-m", "weft", *arguments],
        cwd=cwd,
        env=clean_environment(extra),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"weft {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done
