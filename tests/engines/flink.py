"""Flink for tests: a job manager, a task manager and a SQL gateway, each a process of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import httpx

from tests.engines.install import flink_jars
from tests.services.server import Server, free_ports

_OPENED = ("lang", "net", "io", "nio", "lang.reflect", "text", "time", "util", "util.concurrent", "util.concurrent.atomic")
_QUICK = ("-XX:+UseSerialGC", "-Xshare:auto")
_FLINK = "org.apache.flink"


class _Process(Server):
    """One of the three programs."""

    name = "Flink"
    main: ClassVar[str]
    memory: ClassVar[str]

    def __init__(self, folder: Path, port: int, settings: dict[str, object]) -> None:
        super().__init__(folder)
        self._port = port
        self._settings = settings

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def prepare(self) -> None:
        lines = (f"{name}: {value}\n" for name, value in self._settings.items())
        (self.folder / "config.yaml").write_text("".join(lines))
        (self.folder / "log4j.properties").write_text(
            "rootLogger.level = WARN\nrootLogger.appenderRef.out.ref = out\n"
            "appender.out.name = out\nappender.out.type = CONSOLE\n"
            "appender.out.layout.type = PatternLayout\nappender.out.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} %m%n\n"
        )

    def environment(self) -> dict[str, str]:
        return super().environment() | {"FLINK_CONF_DIR": str(self.folder)}

    def command(self) -> Sequence[str]:
        opened = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in _OPENED]
        options = [*_QUICK, *opened, f"-Xmx{self.memory}", f"-Dlog4j.configurationFile={self.folder / 'log4j.properties'}"]
        jars = ":".join(map(str, flink_jars()))
        return ["java", *options, "-cp", jars, f"{_FLINK}.{self.main}", *self.arguments()]

    def arguments(self) -> Sequence[str]:
        return ["--configDir", str(self.folder)]

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}{self.probe()}", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def probe(self) -> str:
        """What to ask for to see whether it serves."""
        return "/overview"


class _JobManager(_Process):
    main = "runtime.entrypoint.StandaloneSessionClusterEntrypoint"
    memory = "512m"


class _TaskManager(_Process):
    main = "runtime.taskexecutor.TaskManagerRunner"
    memory = "1g"

    def answers(self) -> bool:
        return super().answers() and httpx.get(f"{self.url}/overview", timeout=2).json()["taskmanagers"] == 1


class _Gateway(_Process):
    main = "table.gateway.SqlGateway"
    memory = "768m"

    def arguments(self) -> Sequence[str]:
        return []

    def probe(self) -> str:
        return "/v1/info"


class FlinkCluster:
    """A session cluster and its SQL gateway, whose REST address is `gateway_url`."""

    def __init__(self, folder: Path) -> None:
        rest, rpc, gateway = free_ports(3)
        shared: dict[str, object] = {
            "jobmanager.rpc.address": "127.0.0.1",
            "jobmanager.rpc.port": rpc,
            "jobmanager.bind-host": "127.0.0.1",
            "jobmanager.memory.process.size": "1g",
            "rest.address": "127.0.0.1",
            "rest.bind-address": "127.0.0.1",
            "rest.port": rest,
            "taskmanager.host": "127.0.0.1",
            "taskmanager.bind-host": "127.0.0.1",
            "taskmanager.numberOfTaskSlots": 2,
            "taskmanager.cpu.cores": 2,
            "taskmanager.memory.framework.heap.size": "128m",
            "taskmanager.memory.framework.off-heap.size": "128m",
            "taskmanager.memory.jvm-metaspace.size": "256m",
            "taskmanager.memory.jvm-overhead.min": "192m",
            "taskmanager.memory.jvm-overhead.max": "192m",
            "taskmanager.memory.task.heap.size": "768m",
            "taskmanager.memory.task.off-heap.size": "64m",
            "taskmanager.memory.managed.size": "1g",
            "taskmanager.memory.network.min": "256m",
            "taskmanager.memory.network.max": "256m",
            "parallelism.default": 1,
            # A machine that is busy with other tests is slow, not dead.
            "pekko.ask.timeout": "120 s",
            "heartbeat.timeout": 300_000,
            "execution.target": "remote",
            "sql-gateway.endpoint.rest.address": "127.0.0.1",
            "sql-gateway.endpoint.rest.bind-address": "127.0.0.1",
            "sql-gateway.endpoint.rest.port": gateway,
            "io.tmp.dirs": folder,
        }
        self._processes = (
            _JobManager(folder / "jobs", rest, shared),
            _TaskManager(folder / "tasks", rest, shared),
            _Gateway(folder / "gateway", gateway, shared),
        )

    @property
    def url(self) -> str:
        """The address of the job manager's REST interface."""
        return self._processes[0].url

    @property
    def gateway_url(self) -> str:
        """The address of the SQL gateway's REST interface."""
        return self._processes[2].url

    def job(self, job_id: str) -> dict[str, Any]:
        """What the job manager says of a job."""
        found: dict[str, Any] = httpx.get(f"{self.url}/jobs/{job_id}", timeout=30).json()
        return found

    def failure(self, job_id: str) -> str:
        """Why a job failed."""
        found = httpx.get(f"{self.url}/jobs/{job_id}/exceptions", timeout=30).json()
        return "\n".join(entry["stacktrace"] for entry in found["exceptionHistory"]["entries"])

    def checkpoints(self, job_id: str) -> int:
        """How many checkpoints of a job are complete."""
        found = httpx.get(f"{self.url}/jobs/{job_id}/checkpoints", timeout=30).json()
        return int(found["counts"]["completed"])

    def cancel(self, job_id: str) -> None:
        """End a job that would go on for ever."""
        httpx.patch(f"{self.url}/jobs/{job_id}", params={"mode": "cancel"}, timeout=30)

    def start(self) -> Self:
        for process in self._processes:
            process.start()
        return self

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.kill()
