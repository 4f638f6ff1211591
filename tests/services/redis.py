"""Redis for tests."""

import socket
from collections.abc import Sequence
from pathlib import Path

from tests.services.server import Server, free_ports


class RedisServer(Server):
    """One Redis with its append-only file switched on, so that a restart keeps what it had."""

    name = "Redis"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self._port,) = free_ports(1)

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def command(self) -> Sequence[str]:
        return [
            *("redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            *("--appendonly", "yes", "--save", "", "--daemonize", "no"),
        ]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False
