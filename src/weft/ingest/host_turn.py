"""Whose turn it is to sample this machine: of all processes on one data folder, one does."""

import fcntl
import os
from pathlib import Path


class HostTurn:
    """A lock on a file that dies with the process that holds it; then another one's next sample takes it over."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether this process samples: it does, or nobody does and it begins now."""
        if self._descriptor is not None:
            return True
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:  # a full disk, say; the next sample tries again
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def give_back(self) -> None:
        """Let another process sample."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
