"""Partition folder: its lock, its segment files, its ledger."""

import fcntl
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from weft.core.errors import Conflict
from weft.log.sqlite.ledger import Ledger
from weft.log.sqlite.segment import file_name, sync_folder

_FOLDER: Final = re.compile(r"partition-(\d{3})")
_SEGMENT: Final = re.compile(r"(\d{8})\.db")


def folder_of(root: Path, partition: int) -> Path:
    """The folder of a partition."""
    return root / f"partition-{partition:03d}"


def partitions_in(root: Path) -> list[int]:
    """The partitions that exist, in order."""
    matches = (_FOLDER.fullmatch(entry.name) for entry in root.iterdir()) if root.is_dir() else ()
    return sorted(int(match[1]) for match in matches if match and (root / match[0] / "ledger.db").exists())


def segments_in(folder: Path) -> list[int]:
    """The numbers of the segment files, in order."""
    matches = (_SEGMENT.fullmatch(entry.name) for entry in folder.iterdir())
    return sorted(int(match[1]) for match in matches if match)


def remove_segment(folder: Path, number: int) -> None:
    """Unlink a segment with the files SQLite keeps beside it."""
    name = file_name(number)
    for suffix in ("-wal", "-shm", "-journal", ""):
        (folder / f"{name}{suffix}").unlink(missing_ok=True)


@contextmanager
def upkeep_lock(folder: Path) -> Generator[None]:
    """Keeps the trimming of one process and the erasing of another apart. Blocks."""
    descriptor = os.open(folder / "upkeep", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Ownership:
    """The right to append to one partition, held by an operating system lock that dies with the process.

    The epoch in the ledger and in every open segment stops an owner that lost the lock without noticing.
    """

    def __init__(self, folder: Path, partition: int, descriptor: int, ledger: Ledger) -> None:
        self.folder = folder
        self.partition = partition
        self.ledger = ledger
        self.epoch = ledger.begin_epoch()
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()} epoch {self.epoch}\n".encode(), 0)

    @classmethod
    def take(cls, root: Path, partitions: int) -> Self:
        """Own the first free partition. Raises Conflict, naming the holders, where there is none."""
        holders: list[str] = []
        for partition in range(partitions):
            taken = cls.take_one(root, partition)
            if not isinstance(taken, str):
                return taken
            holders.append(taken)
        raise Conflict(
            f"all {partitions} partitions of the log at {root} are taken ({'; '.join(holders)}); "
            "stop that process or raise log.partitions",
            holders=holders,
        )

    @classmethod
    def take_one(cls, root: Path, partition: int) -> Self | str:
        """Own a certain partition, or say who does."""
        folder = folder_of(root, partition)
        if not folder.exists():
            folder.mkdir(parents=True)
            sync_folder(root)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip()
            os.close(descriptor)
            return holder or "a process just starting"
        try:
            ledger = Ledger(folder / "ledger.db", write=True)
            sync_folder(folder)
            return cls(folder, partition, descriptor, ledger)
        except BaseException:
            os.close(descriptor)
            raise

    def release(self) -> None:
        """Give the partition back."""
        self.ledger.close()
        os.close(self._descriptor)
