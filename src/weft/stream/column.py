"""Column: the values one name has in every event of a batch, as the stream works on them.

Where a value is missing, or is of another type than the one asked for, it is not known; what stands in `values` there is
without meaning. Numbers are finite.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Kind = Literal["integer", "number", "text", "boolean", "texts"]
Reading = Literal["integer", "number", "text", "boolean", "texts", "present"]
Known = npt.NDArray[np.bool_]


class Field(NamedTuple):
    """One reading of one name: what to take out of every event, and as what.

    Names are whole: `type`, `time`, `data.temperature`, `metadata.site`; inside a name a part that is not a plain word is
    quoted like in an expression (`data["gyro-x"]`), so `path` is what one follows. `present` asks whether there is any
    value but null; its column is a boolean that is always known. `time` and `received_at` are numbers: seconds since 1970.
    """

    name: str
    reading: Reading
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One value for each row. `known` is None where every value is known.

    | kind | `values` |
    |---|---|
    | integer | int64 |
    | number | float64, finite |
    | boolean | bool |
    | text | int32 codes into `words` |
    | texts (tags) | int32 codes into `lists`, the different lists that occur |

    Words and lists differ from each other and may be more than those that occur.
    """

    kind: Kind
    values: npt.NDArray[Any]
    known: Known | None = None
    words: Sequence[str] | None = None
    lists: Sequence[tuple[str, ...]] | None = None

    @property
    def count(self) -> int:
        """How many rows."""
        return len(self.values)
