"""Refreshing: how a reader in another process follows what the owner does to the files."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from weft.core.errors import Unavailable
from weft.core.position import TopicPartition
from weft.store.given import Given
from weft.store.parquet.columnar import kept_batch, python_values
from weft.store.parquet.engine import FilesGone
from weft.store.parquet.given import Run
from weft.store.parquet.intake import FindStored, Intake
from weft.store.parquet.manifest import Content, Manifest
from weft.store.parquet.shelf import Shelf, View
from weft.store.parquet.tail import GIVEN_KEY, Tail

TRIES: Final = 5
_GIVEN_COLUMNS: Final = ["source", "id", GIVEN_KEY, "partition", "offset"]

FindInView = Callable[[View, Mapping[Given, int]], set[Given]]
"""Which of these given ids (with their keys) are in the files of a view."""


class Refresh:
    """Brings a shelf up to the manifest: files, id index, and a tail that holds only what the files do not."""

    def __init__(self, shelf: Shelf, manifest: Manifest, intake: Intake, find_stored: FindInView) -> None:
        self._shelf = shelf
        self._manifest = manifest
        self._intake = intake
        self._find_stored = find_stored
        self._turn = threading.Lock()
        self._content: Content | None = None

    @property
    def content(self) -> Content:
        """What the manifest said at the last look."""
        return self._content or self.now()

    def now(self, *, always: bool = False) -> Content:
        """Look whether the manifest has changed, and if so follow it."""
        with self._turn:
            if self._content is not None and not always and not self._manifest.has_news:
                return self._content
            for _ in range(TRIES):
                content = self._manifest.read(self._content)
                try:
                    self._follow(content)
                except FilesGone:
                    continue
                self._content = content
                return content
            raise Unavailable("the owner of the store changes its files faster than this reader can follow; try again")

    def _follow(self, content: Content) -> None:
        shelf = self._shelf
        opened = {run.file.run_id: run for run in shelf.view.runs}
        runs = [opened.get(run_id) or Run.open(shelf.folder, run) for run_id, run in content.runs.items()]
        fresh = [run for run in runs if run.file.run_id not in opened]
        with shelf.lock:
            tail = shelf.view.open.above({place: account.position for place, account in content.ledger.items()})
            if fresh and tail.rows:
                next_view = replace(shelf.view, files=tuple(content.files.values()), runs=tuple(fresh))
                tail = self._without_stored(tail, lambda asked: self._find_stored(next_view, asked))
            for place, account in content.ledger.items():
                own = self._intake.ledger.get(place)
                if own is None or own.position <= account.position:
                    self._intake.ledger[place] = replace(account)
                else:
                    own.erased, own.retired = account.erased, account.retired
            shelf.publish(files=list(content.files.values()), runs=runs, open_=tail)

    def _without_stored(self, tail: Tail, find: FindStored) -> Tail:
        """The tail without events that the owner stored from another partition."""
        for topic, chunks in tail.chunks.items():
            asked: dict[Given, int] = {}
            places: dict[Given, tuple[int, int]] = {}
            for chunk in chunks:
                events = chunk.events
                given = kept_batch(events, events[GIVEN_KEY].to_numpy() != 0)
                for source, event_id, key, partition, offset in zip(
                    *(python_values(given[name]) for name in _GIVEN_COLUMNS), strict=True
                ):
                    entry = (topic, source, event_id)
                    asked[entry] = key
                    places[entry] = (partition, offset)
            stored = find(asked) if asked else set[Given]()
            if stored:
                tail = tail.without_rows(topic, frozenset(places[entry] for entry in stored))
                self._book_repeats(topic, [places[entry][0] for entry in stored])
                self._intake.forget(list(stored))
        return tail

    def _book_repeats(self, topic: str, partitions: list[int]) -> None:
        for partition in partitions:
            account = self._intake.ledger[TopicPartition(topic, partition)]
            account.stored -= 1
            account.repeats += 1
