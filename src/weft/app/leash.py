"""The tie between a supervisor and one of its processes, as the process holds it: a socket tells each of the other's end."""

import asyncio
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Self

import msgspec

from weft.app.process import Stop
from weft.app.welcome import Welcome
from weft.auth.bootstrap import FirstAdministrator
from weft.core.errors import Invalid


class Up(msgspec.Struct, frozen=True):
    """What a process tells its supervisor, once, when its doors are open."""

    administrator: FirstAdministrator | None = None


class Leash:
    """The process's end. The supervisor's death ends the process as a signal would: in order, with nothing lost."""

    def __init__(self, supervisor: socket.socket) -> None:
        self._supervisor = supervisor

    @classmethod
    def of(cls, descriptor: int) -> Self:
        """The leash that a supervisor handed over. Raises Invalid where there is none at this descriptor."""
        try:
            os.set_inheritable(descriptor, False)
            return cls(socket.socket(fileno=descriptor))
        except OSError as refused:
            raise Invalid("--leash is for a supervisor to give; leave it out", field="leash") from refused

    def tell(self, welcome: Welcome) -> None:
        """Say that the doors are open."""
        self._supervisor.sendall(msgspec.json.encode(Up(welcome.first_administrator)) + b"\n")

    @contextmanager
    def watched(self, stop: Stop) -> Generator[None]:
        """While the block runs, the supervisor's end asks for this process's end."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._supervisor, self._look, stop)
        try:
            yield
        finally:
            loop.remove_reader(self._supervisor)

    def _look(self, stop: Stop) -> None:
        try:
            ended = not self._supervisor.recv(64)
        except OSError:
            ended = True
        if ended:
            asyncio.get_running_loop().remove_reader(self._supervisor)
            stop.set()
