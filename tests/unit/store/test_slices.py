"""Single pages of a Parquet file are read exactly as a reader of the whole file would read them."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from weft.core.columns import EVENT_SCHEMA
from weft.core.errors import Corrupt
from weft.store.parquet.disk import Disk
from weft.store.parquet.engine import FilesGone
from weft.store.parquet.layout import PAGE_ROWS, ROW_GROUP_ROWS, merge_spans, write_events
from weft.store.parquet.slices import PagedFile, read_directory
from weft.store.parquet.thrift import Reader
from weft.testing.factories import NOON_US

ROWS = ROW_GROUP_ROWS + 3 * PAGE_ROWS + 17


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """A file of more than one row group: lists of any length, missing values, texts that need no and a large dictionary."""
    folder = tmp_path_factory.mktemp("slices")
    rng = random.Random(4)
    n = range(ROWS)
    columns = {
        "id": [f"id-{k:08d}" for k in n],
        "type": [rng.choice(["error", "metrik ü"]) for _ in n],
        "source": [f"s{k % 300}" for k in n],
        "subject": [None if k % 3 else f"sub-{k}" for k in n],
        "time": np.arange(NOON_US, NOON_US + ROWS),
        "received_at": np.arange(NOON_US, NOON_US + ROWS),
        "severity": ["low"] * ROWS,
        "user_id": [None] * ROWS,
        "session_id": [f"session-{k}" for k in n],
        "correlation_id": [None if k < ROW_GROUP_ROWS else "c" for k in n],
        "tags": [["t"] * (k % 4) + ([""] if k % 7 == 0 else []) for k in n],
        "data": [f'{{"n":{k},"text":"{"x" * (k % 50)}"}}' for k in n],
        "metadata": ["{}"] * ROWS,
        "partition": np.zeros(ROWS, dtype=np.int32),
        "offset": np.arange(ROWS),
    }
    table = pa.table([pa.array(columns[field.name], field.type) for field in EVENT_SCHEMA], schema=EVENT_SCHEMA)
    file = write_events(Disk(), folder, "events", table, ())
    return folder / file.path, table


def test_any_pages_equal_the_same_rows_of_the_whole_file(written: tuple[Path, pa.Table]) -> None:
    path, table = written
    assert pq.read_table(path, partitioning=None).equals(table)
    file = PagedFile(path, read_directory(path))
    starts = np.cumsum([0, *[span.rows for span in file.spans]]).tolist()
    assert starts[-1] == ROWS
    for chosen in ([0], [3, 4, 5], [31, 32, 33], [len(file.spans) - 1], [1, 7, 34]):
        expected = pa.concat_tables([table.slice(starts[n], file.spans[n].rows) for n in chosen])
        assert file.read([file.spans[n] for n in chosen]).equals(expected)
        some = ["id", "tags", "offset"]
        assert file.read([file.spans[n] for n in chosen], some).equals(expected.select(some))


def test_pages_know_their_times_and_ids(written: tuple[Path, pa.Table]) -> None:
    path, _ = written
    start = 0
    for span in PagedFile(path, read_directory(path)).spans:
        assert (span.min_us, span.max_us) == (NOON_US + start, NOON_US + start + span.rows - 1)
        assert (span.min_id.decode(), span.max_id.decode()) == (f"id-{start:08d}", f"id-{start + span.rows - 1:08d}")
        start += span.rows


def test_a_file_that_is_gone_or_broken_is_told(tmp_path: Path, written: tuple[Path, pa.Table]) -> None:
    with pytest.raises(FilesGone):
        read_directory(tmp_path / "nothing.parquet")
    with pytest.raises(Corrupt):
        Reader(b"\x19\xfc").struct()


def test_milliseconds_are_kept_in_few_spans_that_hold_them_all() -> None:
    spans = merge_spans((n * 100, n * 100 + 5) for n in range(50))
    assert len(spans) == 16
    assert all(any(first <= n * 100 <= last for first, last in spans) for n in range(50))
    assert merge_spans(iter([(1, 2), (3, 4), (9, 9)])) == ((1, 4), (9, 9))
