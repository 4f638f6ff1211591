"""Answer: a window that is to be answered, and with which cells."""

from typing import NamedTuple

from weft.core.batch import Int64s


class Answer(NamedTuple):
    """Windows that are to be answered together: for each key a cell that holds all that shows.

    `starts_us` and `ends_us` are one number where it is one window. `window` is its number; revisions are counted for each.
    `fresh` are the keys and cells of what did not show at the answer before; nobody asks for them where it is the final one.
    """

    starts_us: int | Int64s
    ends_us: int | Int64s
    window: int
    is_final: bool
    keys: Int64s
    cells: Int64s
    fresh: list[tuple[Int64s, Int64s]]
