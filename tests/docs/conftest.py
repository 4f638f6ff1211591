"""A Weft that the examples of the manual run against: started as a reader would start it, on free ports."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROLE_PORTS = {
    "8001": "WEFT_APP__INGESTION_PORT",
    "8002": "WEFT_APP__ANALYTICS_PORT",
    "8004": "WEFT_APP__DASHBOARD_PORT",
    "8005": "WEFT_APP__STORAGE_PORT",
}


@dataclass(frozen=True)
class Weft:
    """A running Weft: the folder a reader would be in, its port, and the environment of the reader's shell."""

    folder: Path
    ports: dict[str, str]
    environment: dict[str, str]
    welcome: str

    def here(self, text: str) -> str:
        """The text of the manual with this Weft's ports in place of the documented ones."""
        return re.sub(r"(127\.0\.0\.1:|--port )(8000|8001|8002|8004|8005)", lambda found: found[1] + self.ports[found[2]], text)


@pytest.fixture(scope="session")
def weft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weft]:
    folder = tmp_path_factory.mktemp("reader")
    ports = {port: str(_free_port()) for port in ("8000", *ROLE_PORTS)}
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "COLUMNS": "160",
        **{variable: ports[port] for port, variable in ROLE_PORTS.items()},
    }
    with (folder / "weft.log").open("wb") as output:
        process = subprocess.Popen(
            ["weft", "start", "--port", ports["8000"]],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        welcome = ""
        for line in process.stdout:
            welcome += line
            if line.startswith("Ctrl-C"):
                break
        assert "Ctrl-C" in welcome, (folder / "weft.log").read_text()
        yield Weft(folder, ports, environment, welcome)
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()
    assert code == 0, "Ctrl-C must drain and end with 0"


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
