"""Which processes run on a data folder: each writes one small file while it runs, so that the command line finds it.

A process that was killed leaves its file behind; that is how `weft status` knows that something is missing.
"""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """One process: what it plays, where it listens, since when."""

    service: str
    roles: tuple[str, ...]
    url: str
    pid: int
    started_at_us: int
    own_url: str | None = None
    """Where this very process answers, if others answer at `url` too."""

    @property
    def is_alive(self) -> bool:
        """Whether the process still exists."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


@contextmanager
def announced(data_dir: Path, run: RunFile) -> Generator[None]:
    """The file stands while the block runs. What dead processes of the same service left is cleared away."""
    folder = data_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for old in _files(folder):
        left = _read(old)
        if left is None or (left.service == run.service and not left.is_alive):
            old.unlink(missing_ok=True)
    file = folder / f"{run.service}-{run.pid}.json"
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(asdict(run)), encoding="utf-8")
    draft.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def read_run_files(data_dir: Path) -> list[RunFile]:
    """The processes of a data folder, those that died unasked included, oldest first."""
    found = [run for file in _files(data_dir / FOLDER) if (run := _read(file)) is not None]
    return sorted(found, key=lambda run: run.started_at_us)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json")) if folder.is_dir() else []


def _read(file: Path) -> RunFile | None:
    try:
        fields: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return RunFile(**{**fields, "roles": tuple(fields["roles"])})  # pyright: ignore[reportArgumentType] - JSON
    except (OSError, ValueError, TypeError, KeyError):
        return None
