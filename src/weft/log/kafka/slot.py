"""Slot: which of the appending processes of this host this one is, so that each has a partition of its own."""

import fcntl
import socket
import tempfile
from pathlib import Path
from typing import IO, Final
from zlib import crc32

_MOST: Final = 256


class Slot:
    """A number that no other process of this host holds for the same cluster; the same one again after a restart."""

    def __init__(self, cluster: str) -> None:
        self._name = f"weft-kafka-{crc32(cluster.encode()):08x}"
        self._host = crc32(socket.gethostname().encode())
        self._file: IO[bytes] | None = None
        self.number = self._take()

    def _take(self) -> int:
        for number in range(_MOST):
            try:
                file = (Path(tempfile.gettempdir()) / f"{self._name}-{number}.lock").open("ab")
            except OSError:
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                continue
            self._file = file
            return number
        return 0

    def partition(self, topic: str, partitions: int) -> int:
        """The partition of a topic for this process: hosts begin at different ones, the processes of one host follow."""
        return (self._host + crc32(topic.encode()) + self.number) % partitions

    def release(self) -> None:
        """Let another process have the number."""
        if self._file is not None:
            self._file.close()
            self._file = None
