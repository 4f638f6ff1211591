"""A disk that fails on command, under everything that SQLite writes in this process."""

from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self

import apsw

Operation = Literal["write", "sync"]
Fault = Callable[[Operation, str], type[Exception] | None]
"""Asked before each operation on a file: None to let it pass, else what to raise."""

_BASE: Final = "unix"
_NAME: Final = "faulty"


def _none(_operation: Operation, _path: str) -> None:
    """No fault."""


class FaultyDisk:
    """`with FaultyDisk() as disk` puts itself under SQLite; set `disk.fault` to make it fail."""

    def __init__(self) -> None:
        self.fault: Fault = _none
        self.operations = 0
        self._before = ""

    def __enter__(self) -> Self:
        self._before = apsw.vfs_names()[0]
        self._system = _System(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        apsw.set_default_vfs(self._before)
        self._system.unregister()

    def check(self, operation: Operation, path: str) -> None:
        """Raises what the fault says."""
        self.operations += 1
        failure = self.fault(operation, path)
        if failure is not None:
            raise failure(f"injected into {operation} of {path}")


class _System(apsw.VFS):
    def __init__(self, disk: FaultyDisk) -> None:
        super().__init__(_NAME, _BASE, makedefault=True)
        self._disk = disk

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return _File(self._disk, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__(_BASE, name, flags)
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.check("write", self._path)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.check("sync", self._path)
        super().xSync(flags)

    def xLock(self, level: int) -> None:  # noqa: N802 - SQLite's name
        try:
            super().xLock(level)
        except apsw.IOError as refused:
            # A reader may not lock for writing when it closes. SQLite expects that; its Python layer would report it.
            raise apsw.BusyError("not for readers") from refused
