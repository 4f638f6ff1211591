"""Panes: how the events of tumbling and sliding windows are kept until their windows are answered.

A pane is as long as the slide; pane p covers [p slide, (p + 1) slide), and window E, which ends at E slide, is made of the
panes E - n to E - 1. Events of one pane that came at different times may belong to different answers, so they are kept in
layers: by the first window that still took them, and where windows are answered more than once by the moment they show first.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np

from weft.core.batch import Int64s
from weft.stream.engine.answer import Answer
from weft.stream.engine.cells import Cells
from weft.stream.engine.rows import Mask, Rows
from weft.stream.engine.shape import ALWAYS, Layer, Shape

EMPTY: Final = -1
REFUSED: Final = -2
_NOWHERE: Final[Int64s] = np.zeros(0, dtype=np.int64)
_MOST_COUNTED: Final = 4_096
"""Up to how many panes of a batch are told apart by counting rather than by sorting."""


class Panes:
    """The open panes of a pass. Cells by layer and key stand in one table, a line for each layer."""

    def __init__(self, shape: Shape, cells: Cells, limit_bytes: int) -> None:
        self._shape = shape
        self._cells = cells
        self._limit_bytes = limit_bytes
        self._lines: dict[Layer, int] = {}
        self._free: list[int] = []
        self._table = np.full((0, 0), EMPTY, dtype=np.int64)
        self._refusing: dict[int, int] = {}  # panes that refused somebody, with the number of keys there were then

    @property
    def size_bytes(self) -> int:
        """The table."""
        return self._table.nbytes

    @property
    def open_windows(self) -> int:
        """How many windows have events and are not over."""
        return len({end for layer in self._lines for end in self._windows(layer)})

    def place(self, rows: Rows, keys: Int64s, known_keys: int, passed_us: int, beside_bytes: int) -> tuple[Int64s, Mask | None]:
        """The cell of each event, and which are late for all their windows (None where none is).

        Late and refused events have no cell but -1. Keys below `known_keys` may occur, and -1 for one that was refused. What
        lies before `passed_us` is over. `beside_bytes` of the room are used by others.
        """
        self._widen(known_keys)
        low = int(rows.times_us.min()) // self._shape.slide_us
        high = int(rows.times_us.max()) // self._shape.slide_us
        most_us = max(rows.most_reached_us, passed_us)
        if low == high and self._shape.answers_once and self._first_open(most_us) <= low + 1:
            line = self._lines.get(Layer(low, low + 1, ALWAYS))
            if line is None:
                line = self._open(Layer(low, low + 1, ALWAYS))
            return self._cells_of(line, keys, known_keys, beside_bytes), None
        panes = rows.times_us // self._shape.slide_us
        cells = np.empty(len(keys), dtype=np.int64)
        late: Mask | None = None
        for start, stop, first, reached_us in self._stretches(rows, low, passed_us):
            lines, is_late = self._lines_of(panes[start:stop], first, reached_us)
            cells[start:stop] = self._cells_of(lines, keys[start:stop], known_keys, beside_bytes)
            if is_late is not None:
                late = np.zeros(len(keys), dtype=np.bool_) if late is None else late
                late[start:stop] = is_late
        return cells, late

    def _stretches(self, rows: Rows, low: int, passed_us: int) -> Iterator[tuple[int, int, int, int]]:
        """Stretches of events whose time of coming makes no difference: from, to, the first open window, and that time."""
        shape = self._shape
        most_us = max(rows.most_reached_us, passed_us)
        if shape.answers_once and self._first_open(most_us) <= low + 1:
            yield 0, rows.count, self._first_open(most_us), most_us
            return
        reached_us = np.maximum(rows.reached_us, passed_us)
        steps = (reached_us - shape.lateness_us) // shape.slide_us
        if not shape.answers_once:
            steps = steps + reached_us // (shape.every_us or shape.slide_us)
        starts = [0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), rows.count]
        for start, stop in pairwise(starts):
            at_us = int(reached_us[start])
            yield start, stop, self._first_open(at_us), at_us

    def _first_open(self, reached_us: int) -> int:
        """The first window that still takes events then."""
        return (reached_us - self._shape.lateness_us) // self._shape.slide_us + 1

    def _lines_of(self, panes: Int64s, first: int, reached_us: int) -> tuple[Int64s | int, Mask | None]:
        """The line of each event, one for all where they agree, -1 where there is none; and which are late."""
        low, high = int(panes.min()), int(panes.max())
        if low == high:
            line = self._line(low, first, reached_us)
            return (EMPTY, np.ones(len(panes), dtype=np.bool_)) if line is None else (line, None)
        if high - low < _MOST_COUNTED:
            places = panes - low
            table = np.zeros(high - low + 1, dtype=np.int64)
            table[places] = 1
            present = np.flatnonzero(table)
        else:
            different, places = np.unique(panes, return_inverse=True)
            present, table = np.arange(len(different)), np.zeros(len(different), dtype=np.int64)
            low = different
        late = np.zeros(len(table), dtype=np.bool_)
        for place in present.tolist():
            line = self._line(int(low[place]) if isinstance(low, np.ndarray) else low + place, first, reached_us)
            table[place] = EMPTY if line is None else line
            late[place] = line is None
        return table.take(places), late.take(places) if late.any() else None

    def _line(self, pane: int, first: int, reached_us: int) -> int | None:
        """The line of a pane's events that come then; None where all its windows are over, -1 where there is no room."""
        if pane + self._shape.panes < first:
            return None
        layer = Layer(pane, max(first, pane + 1), self._shape.shows_us(pane, reached_us))
        line = self._lines.get(layer)
        if line is None:
            line = self._open(layer)
        return line

    def _open(self, layer: Layer) -> int:
        if not self._free:
            lines, width = self._table.shape
            more = max(lines, 4)
            if 2 * more * width * self._table.itemsize > self._limit_bytes:
                self._refusing.setdefault(layer.pane, 0)
                return EMPTY
            self._table = np.concatenate((self._table, np.full((more, width), EMPTY, dtype=np.int64)))
            self._free = list(range(lines + more - 1, lines - 1, -1))
        line = self._lines[layer] = self._free.pop()
        return line

    def _widen(self, keys: int) -> None:
        lines, width = self._table.shape
        if keys > width:
            more = np.full((lines, max(keys, 2 * width, 64) - width), EMPTY, dtype=np.int64)
            self._table = np.concatenate((self._table, more), axis=1)

    def _cells_of(self, lines: Int64s | int, keys: Int64s, known_keys: int, beside_bytes: int) -> Int64s:
        """The cell of each event, -1 where there is none; those that are not there yet are taken."""
        width = self._table.shape[1]
        places = keys + lines * width
        table = self._table.reshape(-1)
        nowhere = _NOWHERE
        if isinstance(lines, int) and lines < 0:
            return np.full(len(keys), EMPTY, dtype=np.int64)
        if keys.min() < 0 or np.min(lines) < 0:
            nowhere = np.flatnonzero((keys < 0) | (lines < 0))
            self._note_refused(lines, keys, known_keys)
            if len(nowhere) == len(keys):
                return np.full(len(keys), EMPTY, dtype=np.int64)
            places[nowhere] = 0
        cells = table.take(places)
        cells[nowhere] = REFUSED
        if cells.min() >= 0:
            return cells
        missing = np.flatnonzero(cells == EMPTY)
        if len(missing):
            self._take(np.unique(places[missing]), known_keys, beside_bytes)
            cells[missing] = table[places[missing]]
        return np.maximum(cells, EMPTY)

    def _note_refused(self, lines: Int64s | int, keys: Int64s, known_keys: int) -> None:
        """Panes of events whose key was refused: whoever comes for the first time later was perhaps refused here."""
        refused = keys < 0
        if refused.any():
            met = [lines] if isinstance(lines, int) else np.unique(lines[refused]).tolist()
            for layer in [layer for layer, line in self._lines.items() if line in met]:
                self._refusing.setdefault(layer.pane, known_keys)

    def _take(self, places: Int64s, known_keys: int, beside_bytes: int) -> None:
        """Take cells for these places of the table; where there is no room for all, the rest is refused for good."""
        width = self._table.shape[1]
        table = self._table.reshape(-1)
        if self._refusing:
            panes = {line: layer.pane for layer, line in self._lines.items()}
            refused = np.array([panes[line] in self._refusing for line in (places // width).tolist()], dtype=np.bool_)
            table[places[refused]] = REFUSED
            places = places[~refused]
        cells = self._cells.take(places % width, beside_bytes + self.size_bytes)
        table[places[: len(cells)]] = cells
        over = places[len(cells) :]
        if len(over):
            table[over] = REFUSED
            panes = {line: layer.pane for layer, line in self._lines.items()}
            for line in np.unique(over // width).tolist():
                self._refusing.setdefault(panes[line], known_keys)

    def _windows(self, layer: Layer) -> range:
        """The windows a layer belongs to, by the number of their ends."""
        return range(layer.first, layer.pane + self._shape.panes + 1)

    def answers(self, before_us: int, passed_us: int) -> Iterator[Answer]:
        """What is to be answered now that time has come from `before_us` to `passed_us`; then forget what is over.

        Each answer's cells hold until the next one is asked for.
        """
        if not self._lines or not self._has_moments(before_us, passed_us):
            return
        for moment_us, window in sorted(self._due(before_us, passed_us)):
            yield from self._answer(moment_us, window)
        self._forget(self._first_open(passed_us))

    def _due(self, before_us: int, passed_us: int) -> set[tuple[int, int]]:
        """The moments in between and the windows answered at them."""
        shape = self._shape
        over, still_open = self._first_open(before_us), self._first_open(passed_us)
        due: set[tuple[int, int]] = set()
        for layer in self._lines:
            windows = self._windows(layer)
            closing = range(max(windows.start, over), min(windows.stop, still_open))
            due.update((shape.final_us(window), window) for window in closing)
            if not shape.answers_once:
                moments = ((shape.moment_us(window, layer.shows_us), window) for window in windows if window >= over)
                due.update(moment for moment in moments if before_us < moment[0] <= passed_us)
        return due

    def _has_moments(self, before_us: int, passed_us: int) -> bool:
        """Whether any moment can lie between."""
        shape = self._shape
        if self._first_open(before_us) < self._first_open(passed_us):
            return True
        step_us = shape.every_us or shape.slide_us
        return not shape.answers_once and before_us // step_us < passed_us // step_us

    def _answer(self, moment_us: int, window: int) -> Iterator[Answer]:
        shape = self._shape
        is_final = moment_us == shape.final_us(window)
        layers = [
            layer for layer in self._lines if window in self._windows(layer) and (is_final or layer.shows_us <= moment_us)
        ]
        lines = [self._lines[layer] for layer in layers]
        there = self._table[lines] >= 0
        answered: Mask = np.logical_or.reduce(there, axis=0)
        keys = np.flatnonzero(self._without_refused(answered, window))
        if len(lines) == 1:
            cells, borrowed = self._table[lines[0]][keys], None
        else:
            cells = borrowed = self._cells.take(keys, None)
            for line in lines:
                of_line = self._table[line][keys]
                known = of_line >= 0
                self._cells.merge(cells[known], of_line[known])
        fresh = (
            [] if is_final else [self._held(layer) for layer in layers if shape.moment_us(window, layer.shows_us) == moment_us]
        )
        end_us = window * shape.slide_us
        yield Answer(end_us - shape.size_us, end_us, window, is_final, keys, cells, fresh)
        if borrowed is not None:
            self._cells.release(borrowed)

    def _held(self, layer: Layer) -> tuple[Int64s, Int64s]:
        line = self._table[self._lines[layer]]
        keys = np.flatnonzero(line >= 0)
        return keys, line[keys]

    def _without_refused(self, answered: Mask, window: int) -> Mask:
        """Without the keys of which something was or may have been refused in a pane of the window."""
        for pane, known_keys in self._refusing.items():
            if window - self._shape.panes <= pane < window:
                lines = [line for layer, line in self._lines.items() if layer.pane == pane]
                answered = answered & ~(self._table[lines] == REFUSED).any(axis=0)
                answered[known_keys:] = False
        return answered

    def _forget(self, first_open: int) -> None:
        """Let go of what belongs to no open window."""
        over = [layer for layer in self._lines if layer.pane + self._shape.panes < first_open]
        for layer in over:
            self._cells.release(self._held(layer)[1])
            line = self._lines.pop(layer)
            self._table[line] = EMPTY
            self._free.append(line)
        self._refusing = {pane: keys for pane, keys in self._refusing.items() if pane + self._shape.panes >= first_open}

    def live_cells(self) -> Int64s:
        """Every cell that is in use, in the order in which `save` numbers them."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *(self._held(layer)[1] for layer in self._lines)])

    def save(self) -> dict[str, Any]:
        """Everything; cells are numbered from 0 on in the order of `live_cells`."""
        refused = [np.flatnonzero(self._table[line] == REFUSED) for line in self._lines.values()]
        return {
            "layers": [[*layer, self._held(layer)[0], keys] for layer, keys in zip(self._lines, refused, strict=True)],
            "refusing": list(self._refusing.items()),
        }

    def load(self, saved: dict[str, Any], keys: int) -> None:
        """Hold what was saved, for so many keys."""
        layers = saved["layers"]
        self._lines = {Layer(pane, first, shows_us): line for line, (pane, first, shows_us, _, _) in enumerate(layers)}
        self._free = []
        self._table = np.full((len(layers), keys), EMPTY, dtype=np.int64)
        taken = 0
        for line, (_, _, _, held, refused) in enumerate(layers):
            self._table[line, held] = np.arange(taken, taken + len(held), dtype=np.int64)
            self._table[line, refused] = REFUSED
            taken += len(held)
        self._refusing = dict(saved["refusing"])

    def renumber(self, numbers: Int64s, keys: int) -> None:
        """Keys have new numbers, below `keys` and in the same order; -1 is the number of those that are gone."""
        kept = np.flatnonzero(numbers >= 0)
        table = np.full((len(self._table), keys), EMPTY, dtype=np.int64)
        table[:, numbers[kept]] = self._table[:, kept]
        self._table = table
        self._refusing = {pane: int((numbers[:known] >= 0).sum()) for pane, known in self._refusing.items()}
