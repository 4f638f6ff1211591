"""The few operations on Arrow columns the store needs. Arrow's own types are loose; here they become ours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

_arrow: Any = pa
_compute: Any = pyarrow.compute


def extent(values: Any) -> tuple[Any, Any]:
    """The smallest and the largest value, or None and None."""
    found = _compute.min_max(values).as_py()
    return found["min"], found["max"]


def is_equal(values: Any, wanted: str) -> Bools:
    """Which values are this text; a missing value is none."""
    text = pa.scalar(wanted, pa.string())  # with its type, or Arrow looks for modules that might know it, each time
    return _compute.fill_null(_compute.equal(values, text), False).to_numpy(zero_copy_only=False)


def is_one_of(values: Any, wanted: Sequence[str]) -> Bools:
    """Which values are one of these texts; a missing value is none."""
    if len(wanted) == 1:
        return is_equal(values, wanted[0])
    return _compute.is_in(values, value_set=pa.array(wanted, pa.string())).to_numpy(zero_copy_only=False)


def is_uuid7(ids: Any) -> Bools:
    """Which texts look like a UUIDv7."""
    long_enough = _compute.equal(_compute.utf8_length(ids), 36).to_numpy(zero_copy_only=False)
    return long_enough & is_equal(_compute.utf8_slice_codeunits(ids, 14, 15), "7")


def tally_of(table: pa.Table, outer: str, inner: str) -> dict[str, dict[str, int]]:
    """How often each text of one column stands beside each of another."""
    rows: Any = _arrow.Table.group_by(table, [outer, inner], use_threads=False).aggregate([([], "count_all")])
    tally: dict[str, dict[str, int]] = {}
    for row in rows.to_pylist():
        tally.setdefault(row[outer], {})[row[inner]] = row["count_all"]
    return tally


def different(values: Any) -> list[str]:
    """Each text once."""
    return _compute.unique(values).to_pylist()


def different_count(values: Any) -> int:
    """How many different texts there are."""
    return _compute.count_distinct(values).as_py()


def kept(table: pa.Table, keep: Bools) -> pa.Table:
    """The rows to keep."""
    return _arrow.Table.filter(table, pa.array(keep)).combine_chunks()


def kept_batch(batch: pa.RecordBatch, keep: Bools) -> pa.RecordBatch:
    """The rows to keep."""
    return _arrow.RecordBatch.filter(batch, pa.array(keep))


def ordered(table: pa.Table, order: Int64s) -> pa.Table:
    """The rows in another order."""
    return _arrow.Table.take(table, pa.array(order))


def ordered_by(batch: pa.RecordBatch, columns: Sequence[str], sign: int) -> pa.RecordBatch:
    """The rows in the order of some columns, falling where the sign is negative."""
    direction = "ascending" if sign > 0 else "descending"
    return _arrow.RecordBatch.sort_by(batch, [(column, direction) for column in columns])


def concatenated(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Several batches as one."""
    return _arrow.concat_batches(batches)


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Several tables as one, in one piece."""
    return _arrow.concat_tables(tables).combine_chunks()


def chosen(values: Any, keep: Bools) -> Any:
    """The values to keep."""
    return values.filter(pa.array(keep))


def python_values(values: Any) -> list[Any]:
    """The values as Python's own."""
    return values.to_pylist()


def micros(values: Any) -> Int64s:
    """Times as microseconds."""
    return values.cast(pa.int64()).to_numpy()
