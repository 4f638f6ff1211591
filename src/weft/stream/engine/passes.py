"""Pass: one walk over a batch for all queries with the same topic, key, window, lateness and times of answering.

They share what is found out about keys and windows; what each of them counts is kept apart by its condition.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self, cast

import msgspec
import numpy as np

from weft.core.batch import Int64s, LogBatch
from weft.core.watermark import BEGINNING, max_time_us
from weft.stream.column import Column, Field
from weft.stream.engine.answer import Answer
from weft.stream.engine.block import Block
from weft.stream.engine.cells import Cells
from weft.stream.engine.keys import Key, Keys
from weft.stream.engine.outcome import Outcome
from weft.stream.engine.panes import Panes
from weft.stream.engine.plan import Plan, plan
from weft.stream.engine.progress import Progress
from weft.stream.engine.rows import Mask, Rows
from weft.stream.engine.selection import Selection
from weft.stream.engine.sessions import Sessions
from weft.stream.engine.shape import Shape
from weft.stream.expression.evaluate import evaluate, select
from weft.stream.query import Query

_KEY_BYTES = 300
"""About what one more key takes, beside its cells."""

_FEW_KEYS = 10_000
"""So many keys more than twice those that are needed may wait to be forgotten."""
_CROWDED = 0.75
"""From this share of its room on a pass forgets keys as soon as it can."""

RowsFrom = Callable[[int], Rows]


@dataclass(slots=True)
class Running:
    """A query that runs. Windows that began at `since_us` or before are not answered."""

    plan: Plan
    since_us: int
    refused: int = 0


class Pass:
    """The queries of one pass and their state. `first` is any of them: it says what all have in common."""

    def __init__(self, first: Plan, progress: Progress, limit_bytes: int) -> None:
        query = first.query
        self.key = first.pass_key
        self.topic = query.topic
        self.progress = progress
        self.running: dict[str, Running] = {}
        self._keys_of = first.keys
        self._limit_bytes = limit_bytes
        self._keys = Keys()
        self._cells = Cells(limit_bytes)
        shape = Shape(
            slide_us=query.window.slide_us,
            panes=query.window.panes,
            lateness_us=query.lateness_us,
            every_us=query.every_us,
            revises=query.emit == "revisions",
        )
        self._answers_once = shape.answers_once
        self._windows: Panes | Sessions = Panes(shape, self._cells, limit_bytes)
        self._only = None  # of which events sessions are made
        if query.window.kind == "session":
            self._windows = Sessions(query.window.size_us, query.lateness_us, self._cells)
            self._only = first.where
        self._selections: dict[str | None, Selection] = {}
        self._revisions: dict[tuple[str, int], Int64s] = {}
        self._kept_keys = 0

    @property
    def fields(self) -> frozenset[Field]:
        """Everything its queries read."""
        return frozenset[Field]().union(*(running.plan.fields for running in self.running.values()))

    @property
    def size_bytes(self) -> int:
        """About what it holds in memory."""
        return self._keys.size_bytes + self._cells.size_bytes + self._windows.size_bytes

    @property
    def key_count(self) -> int:
        """How many keys it knows."""
        return len(self._keys)

    def add(self, plan: Plan) -> None:
        """Answer one more query from here on: windows that began before what was read up to here are not whole for it."""
        newest = (watermark_us + self.progress.bound_us for watermark_us in self.progress.watermarks_us.values())
        self.running[plan.query.name] = Running(plan, max(newest, default=BEGINNING))
        where = self._where(plan)
        selection = self._selections.get(where)
        if selection is None:
            selection = self._selections[where] = Selection(None if where is None else plan.where)
            self._cells.attach_also(selection.tallies().values())
        self._cells.attach_also(selection.need_also(plan.needs))

    def remove(self, name: str) -> None:
        """Stop answering a query."""
        del self.running[name]
        self._revisions = {key: counts for key, counts in self._revisions.items() if key[0] != name}
        self._select()

    def _select(self) -> None:
        """Keep what the queries that run need, and nothing else."""
        plans: dict[str | None, list[Plan]] = {}
        for running in self.running.values():
            plans.setdefault(self._where(running.plan), []).append(running.plan)
        self._selections = {
            where: self._selections.get(where) or Selection(None if where is None else of_where[0].where)
            for where, of_where in plans.items()
        }
        for where, selection in self._selections.items():
            selection.need(need for plan in plans[where] for need in plan.needs)
        self._cells.attach(tally for selection in self._selections.values() for tally in selection.tallies().values())

    def _where(self, planned: Plan) -> str | None:
        """The condition a query has beyond that of the whole pass."""
        return planned.where_text if self._only is None else None

    def take(self, batch: LogBatch, newest_us: int, rows_from: RowsFrom, outcome: Outcome) -> None:
        """Take in what of a batch is new here."""
        position = self.progress.positions.get(batch.partition, batch.first_offset)
        if batch.next_offset <= position:
            return
        skipped = max(position - batch.first_offset, 0)
        if batch.partition not in self.progress.watermarks_us:
            self._begin(batch, skipped)
        if batch.count > skipped:
            self._place(rows_from(skipped), outcome)
        before_us = self.progress.passed_us
        self.progress.took(batch, newest_us)
        self._answer(before_us, outcome)

    def count_only(self, partitions: Iterable[int], outcome: Outcome) -> None:
        """Only these partitions hold windows open from now on."""
        before_us = self.progress.passed_us
        self.progress.count_only(partitions)
        self._answer(before_us, outcome)

    def _begin(self, batch: LogBatch, skipped: int) -> None:
        """A partition is read for the first time: windows that began before are not whole here."""
        before = [batch.max_time_before_us, max_time_us(batch.times_us[:skipped], batch.received_at_us[:skipped])]
        newest_us = max((time_us for time_us in before if time_us is not None), default=BEGINNING)
        for running in self.running.values():
            if running.plan.query.start == "latest":
                running.since_us = max(running.since_us, newest_us)

    def _place(self, rows: Rows, outcome: Outcome) -> None:
        if self._only is not None:
            rows = rows.only(self._only)
            if not rows.count:
                return
        known = len(self._keys)
        room = (self._limit_bytes - self.size_bytes) // _KEY_BYTES
        keys = self._keys.number([rows.evaluate(key) for key in self._keys_of], rows.count, known + max(room, 0))
        beside_bytes = self._keys.size_bytes
        cells, late = self._windows.place(rows, keys, len(self._keys), self.progress.passed_us, beside_bytes)
        placed = None if cells.min() >= 0 else cells >= 0
        for selection in self._selections.values():
            selection.add(rows, cells, placed)
        if placed is not None:
            self._note(rows, placed, late, outcome)

    def _note(self, rows: Rows, placed: Mask, late: Mask | None, outcome: Outcome) -> None:
        """Note who had no place, for every query that would have counted it."""
        for name, running in self.running.items():
            where = running.plan.where if self._only is None else None
            wanted = None if where is None else rows.select(where)
            missed = ~placed if wanted is None else ~placed & wanted
            if late is not None:
                for at in np.flatnonzero(missed & late).tolist():
                    place = (rows.partition, int(rows.offsets[at]))
                    outcome.late.setdefault(place, (int(rows.times_us[at]), []))[1].append(name)
                missed &= ~late
            refused = int(np.count_nonzero(missed))
            if refused:
                running.refused += refused
                outcome.refused[name] = outcome.refused.get(name, 0) + refused

    def _answer(self, before_us: int, outcome: Outcome) -> None:
        answered = False
        for answer in self._windows.answers(before_us, self.progress.passed_us):
            answered = True
            for running in self.running.values():
                block = self._block(running, answer)
                if block is not None:
                    outcome.blocks.append(block)
        spare = len(self._keys) - self._kept_keys
        is_crowded = self.size_bytes > _CROWDED * self._limit_bytes
        if answered and (spare > self._kept_keys + _FEW_KEYS or (spare and is_crowded)):
            self._forget_keys(is_crowded)

    def _forget_keys(self, is_crowded: bool) -> None:
        """Forget the keys that no open window knows, where they are many or the room is needed."""
        is_used = np.zeros(len(self._keys), dtype=np.bool_)
        is_used[self._cells.keys[self._windows.live_cells()]] = True
        used = np.flatnonzero(is_used)
        self._kept_keys = len(used)
        if len(self._keys) <= 2 * len(used) + _FEW_KEYS and not is_crowded:
            return
        numbers = self._keys.forget(used)
        self._cells.renumber(numbers)
        self._windows.renumber(numbers, len(used))
        self._revisions = {place: counts[used[used < len(counts)]] for place, counts in self._revisions.items()}

    def _block(self, running: Running, answer: Answer) -> Block | None:
        """What a query answers about a window, None where that is nothing."""
        if np.all(answer.starts_us <= running.since_us):
            return None
        planned = running.plan
        selection = self._selections[self._where(planned)]
        events = selection.count.counts(answer.cells)
        counted = events > 0
        if not isinstance(answer.starts_us, int):
            counted &= answer.starts_us > running.since_us
        if not answer.is_final:
            counted &= self._changed(selection, answer)[answer.keys]
        at = np.flatnonzero(counted)
        revisions = self._revised(planned.query.name, answer, answer.keys[at])
        cells, length_us = answer.cells[at], _at(answer.ends_us - answer.starts_us, at)
        columns = {
            Field(need.name, need.aggregate.kind, (need.name,)): selection.read(need, cells, length_us)
            for need in planned.needs
        }
        values = {name: evaluate(value, columns, len(at)) for name, value in planned.values.items()}
        if planned.having is not None:
            named = {Field(name, value.kind, (name,)): value for name, value in values.items()}
            passed = np.flatnonzero(select(planned.having, named, len(at)))
            values = {name: _rows(value, passed) for name, value in values.items()}
            at, cells, revisions = at[passed], cells[passed], revisions[passed]
        if not len(at):
            return None
        return Block(
            query=planned.query,
            version=planned.version,
            starts_us=_at(answer.starts_us, at),
            ends_us=_at(answer.ends_us, at),
            is_final=answer.is_final,
            key_values=self._keys.values,
            keys=answer.keys[at],
            revisions=revisions,
            events=events[at],
            values=values,
            places=selection.offsets.places(cells),
        )

    def _changed(self, selection: Selection, answer: Answer) -> Mask:
        """For each key whether something that counts did not show before."""
        changed = np.zeros(len(self._keys), dtype=np.bool_)
        for keys, cells in answer.fresh:
            changed[keys[selection.count.counts(cells) > 0]] = True
        return changed

    def _revised(self, name: str, answer: Answer, keys: Int64s) -> Int64s:
        """The number of this answer for each key."""
        if self._answers_once:
            return np.ones(len(keys), dtype=np.int64)
        place = (name, answer.window)
        counts = self._revisions.get(place, np.zeros(0, dtype=np.int64))
        if len(counts) < len(self._keys):
            counts = np.concatenate((counts, np.zeros(len(self._keys) - len(counts), dtype=np.int64)))
        counts[keys] += 1
        if answer.is_final:
            self._revisions.pop(place, None)
        else:
            self._revisions[place] = counts
        return counts[keys]

    def save(self) -> dict[str, Any]:
        """Everything, as plain values and arrays."""
        live = self._windows.live_cells()
        return {
            "queries": [
                [running.plan.query, running.plan.version, running.since_us, running.refused]
                for running in self.running.values()
            ],
            "progress": self.progress.save(),
            "keys": self._keys.values,
            "cells": self._cells.keys[live],
            "windows": self._windows.save(),
            "revisions": [[name, window, counts] for (name, window), counts in self._revisions.items()],
            "tallies": [
                [where, {name: tally.save(live) for name, tally in selection.tallies().items()}]
                for where, selection in self._selections.items()
            ],
        }

    @classmethod
    def load(cls, saved: dict[str, Any], bound_us: Callable[[str], int], limit_bytes: int) -> Self:
        """The pass that was saved."""
        queries = [(plan(msgspec.convert(query, Query), version), *rest) for query, version, *rest in saved["queries"]]
        first = queries[0][0]
        one = cls(first, Progress.load(saved["progress"], bound_us(first.query.topic)), limit_bytes)
        for planned, since_us, refused in queries:
            one.running[planned.query.name] = Running(planned, since_us, refused)
        one._select()
        one._keys.load([_key(key) for key in saved["keys"]])
        one._kept_keys = len(one._keys)
        one._cells.load(saved["cells"])
        for where, tallies in saved["tallies"]:
            for name, tally in one._selections[where].tallies().items():
                tally.load(len(one._cells.keys), tallies[name])
        one._windows.load(saved["windows"], len(one._keys))
        one._revisions = {(name, window): counts for name, window, counts in saved["revisions"]}
        return one


def _at(times_us: int | Int64s, places: Int64s) -> int | Int64s:
    return times_us if isinstance(times_us, int) else times_us[places]


def _rows(column: Column, places: Int64s) -> Column:
    known = None if column.known is None else column.known[places]
    return Column(column.kind, column.values[places], known, column.words, column.lists)


def _key(saved: Any) -> Key:
    """A key as it was, which a snapshot keeps as a list where it was a tuple."""
    return tuple(cast("list[str | None]", saved)) if isinstance(saved, list) else saved
