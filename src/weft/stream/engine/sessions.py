"""Sessions: how the events of session windows are kept. A session has one cell, and grows and joins others as events come."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from weft.core.batch import Int64s
from weft.core.watermark import BEGINNING
from weft.stream.aggregate.tally import grown
from weft.stream.engine.answer import Answer
from weft.stream.engine.cells import Cells
from weft.stream.engine.rows import Mask, Rows

_NEVER = 2**62


class Sessions:
    """The open sessions of a pass. Those of a key lie further apart than the gap."""

    def __init__(self, gap_us: int, lateness_us: int, cells: Cells) -> None:
        self._gap_us = gap_us
        self._lateness_us = lateness_us
        self._cells = cells
        self._starts = np.zeros(0, dtype=np.int64)  # by cell
        self._lasts = np.zeros(0, dtype=np.int64)  # by cell; the beginning of time where no session is
        self._first_last_us = _NEVER
        self._refused_until_us = BEGINNING

    @property
    def size_bytes(self) -> int:
        """Starts and ends."""
        return self._starts.nbytes + self._lasts.nbytes

    @property
    def open_windows(self) -> int:
        """How many sessions are not over."""
        return int(np.count_nonzero(self._lasts > BEGINNING))

    def place(self, rows: Rows, keys: Int64s, known_keys: int, passed_us: int, beside_bytes: int) -> tuple[Int64s, Mask | None]:
        """The cell of each event, and which are late (None where none is). Late and refused events have no cell but -1."""
        times_us = rows.times_us
        cells = np.full(len(keys), -1, dtype=np.int64)
        late: Mask | None = None
        if int(times_us.min()) + self._lateness_us < max(rows.most_reached_us, passed_us):
            late = times_us + self._lateness_us < np.maximum(rows.reached_us, passed_us)
            late = late if late.any() else None
        there = keys >= 0 if late is None else (keys >= 0) & ~late
        refused = keys < 0 if late is None else (keys < 0) & ~late
        if refused.any():
            self._refuse(int(times_us[refused].max()))
        places = np.flatnonzero(there)
        if len(places):
            cells[places] = self._join(keys[places], times_us[places], beside_bytes)
            self._first_last_us = min(self._first_last_us, int(times_us[places].min()))
        return cells, late

    def _refuse(self, time_us: int) -> None:
        """Whoever begins within reach of a refused event would perhaps have begun with it, and is refused too."""
        self._refused_until_us = max(self._refused_until_us, time_us + self._gap_us)

    def _join(self, keys: Int64s, times_us: Int64s, beside_bytes: int) -> Int64s:
        """The session's cell for each event; -1 for those of a session for which there was no room."""
        count = len(keys)
        held = self._of_keys(keys)
        all_keys = np.concatenate((keys, self._cells.keys[held]))
        starts = np.concatenate((times_us, self._starts[held]))
        lasts = np.concatenate((times_us, self._lasts[held]))
        order = np.lexsort((starts, all_keys))
        numbers = _runs(all_keys[order], starts[order], lasts[order], self._gap_us)
        runs = np.empty(len(order), dtype=np.int64)
        runs[order] = numbers
        total = int(numbers[-1]) + 1
        run_starts, run_lasts = np.full(total, _NEVER), np.full(total, BEGINNING)
        np.minimum.at(run_starts, runs, starts)
        np.maximum.at(run_lasts, runs, lasts)
        cells = np.full(total, -1, dtype=np.int64)
        cells[runs[count:]] = held  # where a run joins several sessions, one of them takes the others in
        taken_in = held[cells[runs[count:]] != held]
        if len(taken_in):
            into = cells[runs[count:]][cells[runs[count:]] != held]
            self._cells.merge(into, taken_in)
            self._free(taken_in)
        self._begin(cells, runs[:count], keys, run_starts, run_lasts, beside_bytes)
        known = np.flatnonzero(cells >= 0)
        self._starts[cells[known]] = run_starts[known]
        self._lasts[cells[known]] = run_lasts[known]
        return cells[runs[:count]]

    def _of_keys(self, keys: Int64s) -> Int64s:
        """The cells of open sessions of these keys."""
        wanted = np.zeros(max(int(keys.max()), int(self._cells.keys.max(initial=-1))) + 1, dtype=np.bool_)
        wanted[keys] = True
        held = np.flatnonzero(self._lasts > BEGINNING)
        return held[wanted[self._cells.keys[held]]]

    def _begin(self, cells: Int64s, runs: Int64s, keys: Int64s, starts: Int64s, lasts: Int64s, beside_bytes: int) -> None:
        """Give a cell to each run that has none, as far as there is room."""
        new = np.flatnonzero(cells < 0)
        if not len(new):
            return
        of_run = np.empty(len(cells), dtype=np.int64)
        of_run[runs] = keys
        if self._refused_until_us > BEGINNING:
            close = starts[new] <= self._refused_until_us
            for time_us in np.sort(lasts[new[close]]).tolist():
                self._refuse(time_us)
            new = new[~close]
        taken = self._cells.take(of_run[new], beside_bytes + self.size_bytes)
        cells[new[: len(taken)]] = taken
        if len(taken) < len(new):
            self._refuse(int(lasts[new[len(taken) :]].max()))
        if len(self._starts) < len(self._cells.keys):
            self._starts = grown(self._starts, len(self._cells.keys), 0)
            self._lasts = grown(self._lasts, len(self._cells.keys), BEGINNING)

    def _free(self, cells: Int64s) -> None:
        self._lasts[cells] = BEGINNING
        self._cells.release(cells)

    def answers(self, before_us: int, passed_us: int) -> Iterator[Answer]:
        """The sessions that are over now that time has come to `passed_us`, by their ends; then forget them.

        An event exactly at the end of a session still goes on with it, so it is over a microsecond later than a window is.
        """
        last_us = passed_us - 1 - self._gap_us - self._lateness_us
        if self._first_last_us <= last_us:
            held = np.flatnonzero((self._lasts > BEGINNING) & (self._lasts <= last_us))
            if len(held):
                held = held[np.lexsort((self._starts[held], self._lasts[held]))]
                starts_us, ends_us = self._starts[held], self._lasts[held] + self._gap_us
                yield Answer(starts_us, ends_us, 0, True, self._cells.keys[held], held, [])
                self._free(held)
            open_lasts = self._lasts[self._lasts > BEGINNING]
            self._first_last_us = int(open_lasts.min(initial=_NEVER))
        if passed_us > self._refused_until_us + self._gap_us + self._lateness_us:
            self._refused_until_us = BEGINNING

    def live_cells(self) -> Int64s:
        """Every cell that is in use, in the order in which `save` numbers them."""
        return np.flatnonzero(self._lasts > BEGINNING)

    def save(self) -> dict[str, Any]:
        """Everything; cells are numbered from 0 on in the order of `live_cells`."""
        held = self.live_cells()
        return {"starts": self._starts[held], "lasts": self._lasts[held], "refused_until_us": self._refused_until_us}

    def load(self, saved: dict[str, Any], keys: int) -> None:
        """Hold what was saved; how many keys there are makes no difference."""
        room = len(self._cells.keys)
        self._starts = grown(saved["starts"], room, 0)
        self._lasts = grown(saved["lasts"], room, BEGINNING)
        self._first_last_us = int(saved["lasts"].min(initial=_NEVER))
        self._refused_until_us = saved["refused_until_us"]

    def renumber(self, numbers: Int64s, keys: int) -> None:
        """Keys have new numbers; sessions know theirs by their cells."""


def _runs(keys: Int64s, starts: Int64s, lasts: Int64s, gap_us: int) -> Int64s:
    """The number of the run each stretch belongs to; they are in the order of keys and starts.

    Stretches of a key are one run while each begins at most the gap after the last end of those before it.
    """
    new_key = np.empty(len(keys), dtype=np.bool_)
    new_key[0] = True
    np.not_equal(keys[1:], keys[:-1], out=new_key[1:])
    ends = _running_most(lasts, new_key)
    begins = new_key.copy()
    begins[1:] |= starts[1:] - ends[:-1] > gap_us
    return np.cumsum(begins) - 1


def _running_most(values: Int64s, new_key: Mask) -> Int64s:
    """The largest value so far of each key: ranks rise from key to key, so that one running maximum serves all."""
    different, ranks = np.unique(values, return_inverse=True)
    group = np.cumsum(new_key) - 1
    raised = np.maximum.accumulate(ranks + group * len(different))
    return different[raised - group * len(different)]
