"""RabbitMQ for tests, with its management interface."""

import base64
import json
import os
import secrets
import socket
import subprocess
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Self
from urllib.parse import quote

from tests.services.server import Server, free_ports

_PROGRAMS: Final = Path("/usr/lib/rabbitmq/bin")
_GREETING: Final = b"AMQP\x00\x00\x09\x01"
_CONNECTION_START: Final = b"\x01\x00\x00"


class RabbitmqServer(Server):
    """One node with a name service (epmd) of its own. `url` names the host `/`; tests make their own beside it.

    It takes some 10 s to start: share one where possible. Queues and what is in them live on over `kill` and `start` again.
    """

    name = "RabbitMQ"
    user: ClassVar[str | None] = "rabbitmq"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port, self._between_nodes, self._names, self._management = free_ports(4)
        self._epmd: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return self.url_of("/")

    def url_of(self, vhost: str, *, port: int | None = None) -> str:
        """The address of a virtual host, through another port where a proxy stands before the server."""
        return f"amqp://guest:guest@127.0.0.1:{port or self._port}/{quote(vhost, safe='')}"

    def create_vhost(self) -> str:
        """A new, empty virtual host; returns its name."""
        vhost = f"test-{secrets.token_hex(6)}"
        self.manage("PUT", f"vhosts/{vhost}")
        self.manage("PUT", f"permissions/{vhost}/guest", {"configure": ".*", "write": ".*", "read": ".*"})
        return vhost

    def delete_vhost(self, vhost: str) -> None:
        """Away with it and everything in it."""
        self.manage("DELETE", f"vhosts/{vhost}")

    def manage(self, method: str, path: str, body: object = None) -> Any:
        """Ask the management interface."""
        credentials = base64.b64encode(b"guest:guest").decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._management}/api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def settle(self) -> None:
        """Make a first stream and give the server the moment it takes to remember that it has any.

        Killed right after its very first stream was declared, RabbitMQ 3.10 starts without any stream for good: it writes down
        that it coordinates streams half a second late.
        """
        self.manage("PUT", "queues/%2F/first", {"durable": True, "arguments": {"x-queue-type": "stream"}})
        time.sleep(2)  # it has no way to tell us

    def control(self, *words: str) -> None:
        """Run `rabbitmqctl` with these words."""
        subprocess.run(
            [str(_PROGRAMS / "rabbitmqctl"), *words],
            env=self.environment(),
            user=self.user if os.geteuid() == 0 else None,
            cwd=self.folder,
            check=True,
            capture_output=True,
            timeout=60,
        )

    def prepare(self) -> None:
        for name in ("home", "mnesia", "log"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "env.conf").touch()
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self._port}\n"
            "management.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {self._management}\n"
            "log.console = true\n"
            "log.console.level = warning\n"
            "loopback_users.guest = false\n"
            "vm_memory_high_watermark.absolute = 1GB\n"
            "disk_free_limit.absolute = 50MB\n"
        )

    def start(self) -> Self:
        if self._epmd is None:
            with (self.folder / "epmd.txt").open("ab") as output:
                self._epmd = subprocess.Popen(
                    ["epmd", "-address", "127.0.0.1", "-port", str(self._names)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        return super().start()

    def command(self) -> Sequence[str]:
        return [str(_PROGRAMS / "rabbitmq-server")]

    def environment(self) -> dict[str, str]:
        folder = self.folder
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder / "home"),
            "RABBITMQ_NODENAME": f"weft{self._port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self._between_nodes),
            "ERL_EPMD_PORT": str(self._names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as probe:
                probe.sendall(_GREETING)
                if not probe.recv(8).startswith(_CONNECTION_START):
                    return False
            return bool(self.manage("GET", "overview"))
        except OSError:
            return False

    def stop(self) -> None:
        """End it at once, with its name service: in order it takes 10 s, and what it has it keeps either way."""
        self.kill()
        self._end_epmd()

    def _end_epmd(self) -> None:
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None
