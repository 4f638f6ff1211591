"""The owner: the one process that changes what is on disk. It flushes, merges, retires and erases, one thing at a time."""

import fcntl
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from weft.core.clock import Clock
from weft.core.erasure import Erasure
from weft.core.errors import Conflict, Invalid, StorageFull, Unavailable
from weft.core.position import TopicPartition
from weft.core.times import HOUR_US
from weft.store.parquet.columnar import Bools, is_equal, micros
from weft.store.parquet.compact import Keep, choose_files, merge_files, rewrite_file
from weft.store.parquet.flush import write_tail
from weft.store.parquet.given import FOLDER, Run, merge_candidates, merged, write_run
from weft.store.parquet.intake import Intake
from weft.store.parquet.layout import StoredFile
from weft.store.parquet.ledger import Account, Ledger, account_of, copy_ledger
from weft.store.parquet.manifest import Manifest
from weft.store.parquet.shelf import Shelf
from weft.store.parquet.tail import Tail
from weft.store.query import TopicCount
from weft.store.settings import StoreSettings

LOCK_NAME: Final = "owner.lock"
SETTLED_HOURS: Final = 1


class OwnerLock:
    """The right to change a store's folder; it ends with the process at the latest."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as held:
            os.close(self._descriptor)
            raise Conflict(f"another process owns the store in {folder}; stop it, or open the store for reading") from held

    def release(self) -> None:
        """Give the right back."""
        os.close(self._descriptor)


class Owner:
    """Changes files and manifest together. Its methods block; they run in the store's disk thread."""

    def __init__(self, shelf: Shelf, manifest: Manifest, intake: Intake, settings: StoreSettings, clock: Clock) -> None:
        self._shelf = shelf
        self._manifest = manifest
        self._intake = intake
        self._settings = settings
        self._clock = clock
        self._turn = threading.Lock()
        self.refusal: str | None = None
        self.flush_s: float | None = None
        self.flushed_ledger: Ledger = copy_ledger(intake.ledger)

    def remove_orphans(self) -> int:
        """Remove files that no manifest names: what a crash left behind."""
        named = {file.path for file in self._shelf.view.files} | {run.file.path for run in self._shelf.view.runs}
        gone = 0
        for pattern in ("topic=*/**/*.parquet*", f"{FOLDER}/*"):
            for path in self._shelf.folder.glob(pattern):
                if path.is_file() and str(path.relative_to(self._shelf.folder)) not in named:
                    self._shelf.disk.remove(path)
                    gone += 1
        return gone

    def flush(self) -> None:
        """Make everything taken so far durable. Raises StorageFull or Unavailable; the tail is then kept whole."""
        with self._turn:
            self._flush()

    def _flush(self) -> None:
        shelf = self._shelf
        with shelf.lock:
            view = shelf.view
            sealed = view.sealed.followed_by(view.open)
            shelf.publish(sealed=sealed, open_=Tail())
            self._intake.seal()
            ledger = copy_ledger(self._intake.ledger)
        if not sealed.rows and _positions_equal(ledger, self.flushed_ledger):
            return
        started_s = self._clock.steady_s()
        try:
            files, runs = self._store(sealed, ledger)
        except (OSError, StorageFull, Unavailable) as failed:
            self.refusal = f"the store cannot flush: {failed}"
            raise _told(failed) from failed
        with shelf.lock:
            shelf.publish(files=[*shelf.view.files, *files], runs=[*shelf.view.runs, *runs], sealed=Tail())
            self._intake.flushed()
            self.flushed_ledger = ledger
        self.refusal = None
        self.flush_s = self._clock.steady_s() - started_s

    def _store(self, sealed: Tail, ledger: Ledger) -> tuple[Sequence[StoredFile], Sequence[Run]]:
        shelf = self._shelf
        flushed = write_tail(shelf.disk, shelf.folder, sealed)
        try:
            files, run_files = self._manifest.commit(ledger=ledger, add=flushed.files, add_runs=flushed.runs)
        except StorageFull:
            # Surely not committed. After any other failure it is not known, so the files stay: named or orphans.
            for path in flushed.paths:
                shelf.disk.remove(shelf.folder / path)
            raise
        return files, [Run.open(shelf.folder, run) for run in run_files]

    def adopt(self, books: Sequence[TopicCount]) -> None:
        """Take over the books of another store."""
        with self._turn:
            self._flush()
            ledger: Ledger = {}
            erased: dict[TopicPartition, int] = {}
            retired: dict[TopicPartition, int] = {}
            for count in books:
                place = TopicPartition(count.topic, count.partition)
                old = self._intake.ledger.get(place, Account())
                ledger[place] = account_of(count)
                erased[place], retired[place] = count.erased_total - old.erased, count.retired_total - old.retired
            self._manifest.commit(ledger=ledger, erased=erased, retired=retired)
            with self._shelf.lock:
                self._intake.ledger.update(copy_ledger(ledger))
                self.flushed_ledger.update(ledger)

    def compact(self, *, settled: bool = False) -> int:
        """Merge the small files of one hour, if any hour has enough of them; returns how many files were merged.

        In a settled hour, over for long enough that little more will come, two files are enough.
        """
        with self._turn:
            least, before_hour = self._settings.compact_files, None
            if settled:
                least, before_hour = 2, self._clock.now_us() // HOUR_US - SETTLED_HOURS
            chosen = choose_files(self._shelf.view.files, self._settings, least=least, before_hour=before_hour)
            if chosen:
                self._swap(chosen, [merge_files(self._shelf.disk, self._shelf.folder, chosen)])
            self._merge_runs()
            return len(chosen)

    def retire(self) -> int:
        """Remove events past their retention; returns how many."""
        with self._turn:
            now_us = self._clock.now_us()
            count = 0
            for file in self._shelf.view.files:
                cutoff_us = self._settings.cutoff_us(file.topic, now_us)
                if cutoff_us is None or file.min_us >= cutoff_us:
                    continue
                if file.max_us < cutoff_us:
                    count += self._replace(file, None, "retired")
                elif not file.in_one_hour and file.min_us < cutoff_us - HOUR_US:
                    count += self._replace(file, self._rewritten(file, _not_before(cutoff_us)), "retired")
            return count

    def erase(self, erasure: Erasure) -> int:
        """Remove matching events for good; returns how many."""
        if erasure == Erasure():
            raise Invalid("an erasure needs at least one condition", field="erasure")
        with self._turn:
            self._flush()
            count = 0
            for file in self._shelf.view.files:
                if _may_hold(file, erasure):
                    rewritten = self._rewritten(file, _not_matching(erasure))
                    if rewritten is not None and rewritten.rows == file.rows:
                        self._shelf.disk.remove(self._shelf.folder / rewritten.path)
                        continue
                    count += self._replace(file, rewritten, "erased")
            self._shelf.sweep_all(self._settings.question_timeout_s)
            self._manifest.checkpoint()
            return count

    def _rewritten(self, file: StoredFile, keep: Keep) -> StoredFile | None:
        return rewrite_file(self._shelf.disk, self._shelf.folder, file, keep)

    def _replace(self, old: StoredFile, new: StoredFile | None, why: str) -> int:
        left: Mapping[int, int] = new.partitions if new else {}
        lost = {
            TopicPartition(old.topic, partition): rows - left.get(partition, 0) for partition, rows in old.partitions.items()
        }
        self._swap([old], [new] if new else [], **{why: lost})
        with self._shelf.lock:
            for place, count in lost.items():
                account = self._intake.ledger[place]
                setattr(account, why, getattr(account, why) + count)
        return sum(lost.values())

    def _swap(
        self,
        old: Sequence[StoredFile],
        new: Sequence[StoredFile],
        *,
        erased: dict[TopicPartition, int] | None = None,
        retired: dict[TopicPartition, int] | None = None,
    ) -> None:
        shelf = self._shelf
        try:
            added, _ = self._manifest.commit(add=new, remove=old, erased=erased, retired=retired)
        except StorageFull:
            for file in new:
                shelf.disk.remove(shelf.folder / file.path)
            raise
        gone = {file.file_id for file in old}
        with shelf.lock:
            shelf.publish(files=[*(file for file in shelf.view.files if file.file_id not in gone), *added])
            shelf.discard([file.path for file in old])

    def _merge_runs(self) -> None:
        shelf = self._shelf
        chosen = merge_candidates(shelf.view.runs)
        if not chosen:
            return
        hours = frozenset(
            hour for file in shelf.view.files for hour in range(file.min_us // HOUR_US, file.max_us // HOUR_US + 1)
        )
        run = write_run(shelf.disk, shelf.folder, *merged(chosen, hours))
        _, added = self._manifest.commit(add_runs=[run], remove_runs=[old.file for old in chosen])
        with shelf.lock:
            left = [old for old in shelf.view.runs if old not in chosen]
            shelf.publish(runs=[*left, *(Run.open(shelf.folder, new) for new in added)])
            shelf.discard([old.file.path for old in chosen])


def _positions_equal(one: Ledger, other: Ledger) -> bool:
    return {place: account.position for place, account in one.items()} == {
        place: account.position for place, account in other.items()
    }


def _told(failed: Exception) -> Unavailable:
    if isinstance(failed, Unavailable):
        return failed
    return StorageFull(f"the store cannot write to its disk: {failed}; what was acknowledged stays in the log")


def _not_before(cutoff_us: int) -> Keep:
    return lambda table: micros(table["time"]) >= cutoff_us


def _may_hold(file: StoredFile, erasure: Erasure) -> bool:
    return (
        (erasure.start_us is None or file.max_us >= erasure.start_us)
        and (erasure.end_us is None or file.min_us < erasure.end_us)
        and (erasure.source is None or file.sources is None or erasure.source in file.sources)
    )


def _not_matching(erasure: Erasure) -> Keep:
    return lambda table: ~_matches(table, erasure)


def _matches(table: pa.Table, erasure: Erasure) -> Bools:
    times = micros(table["time"])
    found = np.ones(len(times), dtype=np.bool_)
    for column, value in (("source", erasure.source), ("subject", erasure.subject), ("user_id", erasure.user_id)):
        if value is not None:
            found &= is_equal(table[column], value)
    if erasure.start_us is not None:
        found &= times >= erasure.start_us
    if erasure.end_us is not None:
        found &= times < erasure.end_us
    return found
