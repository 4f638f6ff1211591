"""Checkpointer: moves flushed pages from the write-ahead log into the segment file, off the append path, and seals segments."""

from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final

import apsw
import structlog

from weft.log.sqlite.partition import Ownership
from weft.log.sqlite.segment import file_name, open_live

logger = structlog.get_logger(__name__)

_PATIENCE_MS: Final = 200


class Checkpointer:
    """A thread with connections of its own. Sealing means: everything is in the segment's own file and the ledger says so."""

    def __init__(self, ownership: Ownership, interval_s: float) -> None:
        self._folder: Path = ownership.folder
        self._ledger = ownership.ledger
        self._interval_s = interval_s
        self._lock = Lock()
        self._live: int | None = None
        self._connection: apsw.Connection | None = None
        self._to_seal: list[int] = []
        self._has_written = False
        self._stop = Event()
        self._thread = Thread(target=self._run, name=f"log-checkpoint-{ownership.partition}", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def follow(self, number: int) -> None:
        """The live segment is this one now."""
        with self._lock:
            self._live = number

    def written(self) -> None:
        """There is something to move."""
        self._has_written = True

    def seal(self, number: int) -> None:
        """Seal a segment soon."""
        with self._lock:
            self._to_seal.append(number)
            if self._live == number:
                self._live = None

    def seal_now(self) -> None:
        """Seal what waits to be sealed, in the caller's thread; what a reader holds at the moment stays for later."""
        with self._lock:
            waiting = list(self._to_seal)
        for number in waiting:
            self._seal(number)

    def close(self) -> None:
        """Stop, leaving everything sealed that can be. Blocks."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.seal_now()
        if self._connection is not None:
            self._connection.close(True)
        self._settle()

    def _settle(self) -> None:
        """Leave nothing in the write-ahead log of the live segment: the next owner need not recover it."""
        if self._live is None:
            return
        try:
            connection = open_live(self._folder / file_name(self._live))
            try:
                connection.set_busy_timeout(_PATIENCE_MS)
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            finally:
                connection.close(True)
        except (apsw.Error, OSError) as failure:
            logger.warning("log_checkpoint_failed", folder=str(self._folder), segment=self._live, reason=str(failure))

    def _run(self) -> None:
        current: int | None = None
        while not self._stop.wait(self._interval_s):
            try:
                with self._lock:
                    live = self._live
                if live != current:
                    self._open(live)
                    current = live
                self._move()
            except (apsw.Error, OSError) as failure:
                logger.warning("log_checkpoint_failed", folder=str(self._folder), segment=current, reason=str(failure))
            self.seal_now()

    def _open(self, live: int | None) -> None:
        if self._connection is not None:
            self._connection.close(True)
            self._connection = None
        if live is not None:
            self._connection = open_live(self._folder / file_name(live))

    def _move(self) -> None:
        if self._connection is None or not self._has_written:
            return
        self._has_written = False
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _seal(self, number: int) -> None:
        path = self._folder / file_name(number)
        try:
            if path.exists():
                connection = open_live(path)
                try:
                    connection.set_busy_timeout(_PATIENCE_MS)
                    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                finally:
                    connection.close(True)
                self._ledger.seal(number)
        except apsw.BusyError:
            return
        except (apsw.Error, OSError) as failure:
            logger.warning("log_seal_failed", path=str(path), reason=str(failure))
            return
        with self._lock, suppress(ValueError):
            self._to_seal.remove(number)
