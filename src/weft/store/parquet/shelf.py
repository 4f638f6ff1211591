"""The shelf: what there is to be asked at this moment. Files, id index and tail change together, as one view.

Whoever asks holds a view; files that a newer view no longer names are removed when nobody in this process holds them and the
grace for other processes is over.
"""

import threading
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from weft.core.clock import Clock
from weft.store.parquet.disk import Disk
from weft.store.parquet.given import Run
from weft.store.parquet.layout import StoredFile
from weft.store.parquet.tail import Tail


@dataclass(frozen=True, slots=True)
class View:
    """One moment of the store. `sealed` is the part of the tail that is being flushed."""

    number: int = 0
    files: tuple[StoredFile, ...] = ()
    runs: tuple[Run, ...] = ()
    sealed: Tail = field(default_factory=Tail)
    open: Tail = field(default_factory=Tail)

    @property
    def tail(self) -> Tail:
        """The whole tail."""
        return self.sealed.followed_by(self.open)

    @property
    def tail_bytes(self) -> int:
        """Bytes of the whole tail."""
        return self.sealed.size_bytes + self.open.size_bytes


@dataclass(frozen=True, slots=True)
class _Discarded:
    path: str
    last_view: int
    at_s: float


class Shelf:
    """Holds the current view. `lock` is held by whoever makes the next one from it."""

    def __init__(self, folder: Path, disk: Disk, clock: Clock) -> None:
        self.folder = folder
        self.disk = disk
        self.lock = threading.RLock()
        self._clock = clock
        self._view = View()
        self._held: Counter[int] = Counter()
        self._discarded: list[_Discarded] = []
        self._released = threading.Condition(self.lock)

    @property
    def view(self) -> View:
        """The current view, for a look; whoever reads files holds it by `reading`."""
        return self._view

    @contextmanager
    def reading(self) -> Generator[View]:
        """Hold the current view: its files stay until it is let go."""
        with self.lock:
            view = self._view
            self._held[view.number] += 1
        try:
            yield view
        finally:
            with self.lock:
                self._held[view.number] -= 1
                if not self._held[view.number]:
                    del self._held[view.number]
                self._released.notify_all()

    def publish(
        self,
        *,
        files: Sequence[StoredFile] | None = None,
        runs: Sequence[Run] | None = None,
        sealed: Tail | None = None,
        open_: Tail | None = None,
    ) -> None:
        """Make the next view, in which what is given replaces what was there."""
        with self.lock:
            old = self._view
            self._view = replace(
                old,
                number=old.number + 1,
                files=old.files if files is None else tuple(files),
                runs=old.runs if runs is None else tuple(runs),
                sealed=old.sealed if sealed is None else sealed,
                open=old.open if open_ is None else open_,
            )

    def discard(self, paths: Sequence[str]) -> None:
        """These files are in no later view."""
        with self.lock:
            now_s = self._clock.steady_s()
            self._discarded += [_Discarded(path, self._view.number - 1, now_s) for path in paths]

    def sweep(self, grace_s: float) -> int:
        """Remove discarded files that nobody here holds and whose grace is over; returns how many."""
        with self.lock:
            oldest = min(self._held, default=self._view.number)
            due_s = self._clock.steady_s() - grace_s
            gone = [file for file in self._discarded if file.last_view < oldest and file.at_s <= due_s]
            self._discarded = [file for file in self._discarded if file not in gone]
        for file in gone:
            self.disk.remove(self.folder / file.path)
        return len(gone)

    def sweep_all(self, timeout_s: float) -> None:
        """Remove every discarded file now, waiting for questions of this process that still read them."""
        with self.lock:
            newest = self._view.number
            self._released.wait_for(lambda: min(self._held, default=newest) >= newest, timeout_s)
        self.sweep(0)
