"""Slices: some pages of a Parquet file as a table, without reading the rest of its row group.

No Python reader can do that, and decoding 65,536 rows to show one takes 25 ms. The page index of a file says where each page of
each column lies; a slice copies those pages behind a footer of their own, which is a small Parquet file that any
reader takes: 1 ms for 2,048 rows.
"""

import os
import struct as packing
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from weft.core.errors import Corrupt
from weft.store.parquet import thrift
from weft.store.parquet.columnar import chosen, extent, is_uuid7
from weft.store.parquet.engine import FilesGone
from weft.store.parquet.thrift import Reader, Struct

_MAGIC: Final = b"PAR1"
_CACHED_FILES: Final = 256
NO_IDS: Final = (b"\xff", b"")
_CHUNK_START: Final = thrift.write_fields({2: (thrift.I64, 0)}) + bytes([1 << 4 | thrift.STRUCT])
"""How a column chunk begins: field 2, its place in the file, which nobody reads, and field 3, what follows it."""


@dataclass(frozen=True, slots=True)
class PageSpan:
    """One page of rows: of which row group, from which row on (within it), how many, and the times in it."""

    group: int
    first_row: int
    rows: int
    min_us: int
    max_us: int
    min_id: bytes
    max_id: bytes

    def may_hold(self, event_id: bytes) -> bool:
        """Whether an event with this generated id can be on the page."""
        return self.min_id <= event_id <= self.max_id


class Column(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One column of one row group. `meta` are its first four fields in the footer; `pages` are (offset, size, first row)."""

    name: str
    meta: dict[int, tuple[int, Any]]
    dictionary_at: int | None
    pages: list[tuple[int, int, int]]

    @property
    def is_nested(self) -> bool:
        """Whether a row may hold several of its values."""
        return "." in self.name


class Group(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One row group: its columns, and times and ids of its pages."""

    rows: int
    columns: list[Column]
    times: list[tuple[int, int]]
    ids: list[tuple[bytes, bytes]]


class Directory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All that is needed to find pages in a file: 0.2 bytes an event. The manifest keeps it, because reading it out of the
    file's footer takes Python 8 ms."""

    before_groups: bytes
    after_groups: bytes
    groups: list[Group]


def read_directory(path: Path) -> Directory:
    """The directory of a file, out of its footer and page index."""
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        (footer_size,) = packing.unpack("<I", os.pread(file.fileno(), 4, size - 8))
        footer_at = size - 8 - footer_size
        footer = Reader(os.pread(file.fileno(), footer_size, footer_at)).struct()
        groups: list[Struct] = footer[4][1][1]
        first = min(column[at][1] for group in groups for column in group[1][1][1] for at in (4, 6) if at in column)
        index = _Index(os.pread(file.fileno(), footer_at - first, first), first)
    return Directory(
        before_groups=thrift.write_fields({number: footer[number] for number in (1, 2)}),
        after_groups=thrift.write_fields({number: footer[number] for number in footer if number > 4}, 4) + b"\0",
        groups=[_group(group, index) for group in groups],
    )


def with_generated_ids(directory: Directory, ids: Any) -> Directory:
    """The directory with the bounds of the UUIDv7 among the ids alone. One other id on a page would make its bounds useless."""
    is_generated = is_uuid7(ids)
    groups: list[Group] = []
    at = 0
    for group in directory.groups:
        bounds: list[tuple[bytes, bytes]] = []
        for start, end in _row_ranges(group):
            first, last = extent(chosen(ids.slice(at + start, end - start), is_generated[at + start : at + end]))
            bounds.append((first.encode(), last.encode()) if first is not None else NO_IDS)
        groups.append(msgspec.structs.replace(group, ids=bounds))
        at += group.rows
    return msgspec.structs.replace(directory, groups=groups)


def _row_ranges(group: Group) -> list[tuple[int, int]]:
    starts = [first_row for _, _, first_row in next(column for column in group.columns if column.name == "time").pages]
    return list(zip(starts, [*starts[1:], group.rows], strict=True))


class _Index:
    """The bytes of a file that hold its page indexes."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def pages(self, chunk: Struct) -> list[tuple[int, int, int]]:
        """(offset, size, first row) of each page of a column chunk."""
        return [(page[1][1], page[2][1], page[3][1]) for page in self._struct(chunk[4][1])[1][1][1]]

    def bounds(self, chunk: Struct) -> list[tuple[bytes, bytes]]:
        """Smallest and largest value of each page of a column chunk."""
        index = self._struct(chunk[6][1])
        return list(zip(index[2][1][1], index[3][1][1], strict=True))

    def _struct(self, offset: int) -> Struct:
        return Reader(self._data, offset - self._at).struct()


def _group(group: Struct, index: _Index) -> Group:
    chunks = {".".join(part.decode() for part in chunk[3][1][3][1][1]): chunk for chunk in group[1][1][1]}
    columns: list[Column] = []
    for name, chunk in chunks.items():
        meta: Struct = chunk[3][1]
        dictionary_at = meta[11][1] if 11 in meta else None
        columns.append(Column(name, {number: meta[number] for number in (1, 2, 3, 4)}, dictionary_at, index.pages(chunk)))
    times = [(_to_time(first), _to_time(last)) for first, last in index.bounds(chunks["time"])]
    return Group(group[3][1], columns, times, index.bounds(chunks["id"]))


def _to_time(value: bytes) -> int:
    return int.from_bytes(value, "little", signed=True)


class PagedFile:
    """Reads pages of one file. Knows the file by path only and keeps nothing open."""

    def __init__(self, path: Path, directory: Directory) -> None:
        self._path = path
        self._directory = directory
        self._metas: dict[int, list[bytes]] = {}
        self.spans = [span for number, group in enumerate(directory.groups) for span in _spans(number, group)]

    def read(self, spans: Sequence[PageSpan], columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of some pages, in the order they have in the file."""
        with _opened(self._path) as file:
            return pa.concat_tables([self._read(file.fileno(), span, columns) for span in _joined(spans)])

    def _read(self, descriptor: int, span: PageSpan, columns: Sequence[str] | None) -> pa.Table:
        try:
            small_file = pa.BufferReader(self._cut_out(descriptor, span, columns))
            names = None if columns is None else list(columns)
            return pq.ParquetFile(small_file).read_row_group(0, columns=names, use_threads=False)
        except (pa.ArrowException, LookupError, TypeError, OSError) as unreadable:  # what spoilt bytes make of a reader
            raise Corrupt(f"the file {self._path} cannot be read: {unreadable!r}", path=str(self._path)) from unreadable

    def _cut_out(self, descriptor: int, span: PageSpan, columns: Sequence[str] | None) -> bytes:
        """A Parquet file of its own that holds these pages."""
        body = bytearray(_MAGIC)
        chunks: list[bytes] = []
        group = self._directory.groups[span.group]
        for column, meta in zip(group.columns, self._metas_of(span.group), strict=True):
            wanted = columns is None or column.name.partition(".")[0] in columns
            chunks.append(_copied(descriptor, column, meta, span, body) if wanted else _left_out(meta))
        row_group: Struct = {
            1: (thrift.LIST, (thrift.STRUCT, chunks)),
            2: (thrift.I64, len(body)),
            3: (thrift.I64, span.rows),
        }
        changed: Struct = {3: (thrift.I64, span.rows), 4: (thrift.LIST, (thrift.STRUCT, [row_group]))}
        footer = self._directory.before_groups + thrift.write_fields(changed, 2) + self._directory.after_groups
        body += footer + packing.pack("<I", len(footer)) + _MAGIC
        return bytes(body)

    def _metas_of(self, number: int) -> list[bytes]:
        """What stays the same in the column chunks of a row group, written once."""
        metas = self._metas.get(number)
        if metas is None:
            group = self._directory.groups[number]
            metas = self._metas[number] = [_CHUNK_START + thrift.write_fields(column.meta) for column in group.columns]
        return metas


class PagedFiles:
    """The files that were looked into last. `find_directory` gives what the manifest keeps of a file, by file id."""

    def __init__(self, folder: Path, find_directory: Callable[[int], bytes | None]) -> None:
        self.folder = folder
        self._find_directory = find_directory
        self._lock = Lock()
        self._files: OrderedDict[str, PagedFile] = OrderedDict()

    def get(self, path: str, file_id: int) -> PagedFile:
        """One file of the store. Raises FilesGone where it is not there any more."""
        with self._lock:
            file = self._files.get(path)
            if file is not None:
                self._files.move_to_end(path)
                return file
        kept = self._find_directory(file_id)
        directory = msgspec.msgpack.decode(kept, type=Directory) if kept else read_directory(self.folder / path)
        file = PagedFile(self.folder / path, directory)
        with self._lock:
            self._files[path] = file
            while len(self._files) > _CACHED_FILES:
                self._files.popitem(last=False)
        return file

    def forget(self) -> None:
        """Forget all: what was erased must not be found in here either."""
        with self._lock:
            self._files.clear()


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as gone:
        raise FilesGone(str(path)) from gone


def _spans(number: int, group: Group) -> list[PageSpan]:
    return [
        PageSpan(number, start, end - start, *times, *ids)
        for (start, end), times, ids in zip(_row_ranges(group), group.times, group.ids, strict=True)
    ]


def _joined(spans: Sequence[PageSpan]) -> list[PageSpan]:
    """Neighbouring pages of one row group as one span."""
    joined: list[PageSpan] = []
    for span in sorted(spans, key=lambda span: (span.group, span.first_row)):
        last = joined[-1] if joined else None
        if last is not None and last.group == span.group and last.first_row + last.rows == span.first_row:
            joined[-1] = PageSpan(last.group, last.first_row, last.rows + span.rows, last.min_us, span.max_us, b"", b"")
        else:
            joined.append(span)
    return joined


def _copied(descriptor: int, column: Column, meta: bytes, span: PageSpan, body: bytearray) -> bytes:
    """Copy the pages of a column that hold the span's rows; returns the column chunk that describes them."""
    end_row = span.first_row + span.rows
    pages = [page for page in column.pages if span.first_row <= page[2] < end_row]
    dictionary_at: int | None = None
    start = len(body)
    if column.dictionary_at is not None:
        dictionary_at = start
        body += os.pread(descriptor, column.pages[0][0] - column.dictionary_at, column.dictionary_at)
    data_at = len(body)
    first, last = pages[0], pages[-1]
    data = os.pread(descriptor, last[0] + last[1] - first[0], first[0])
    body += data
    values = _values(data, [(offset - first[0]) for offset, _, _ in pages]) if column.is_nested else span.rows
    return _chunk(meta, dictionary_at, data_at, len(body) - start, values)


def _left_out(meta: bytes) -> bytes:
    """A column chunk that nobody reads."""
    return _chunk(meta, None, 4, 0, 0)


def _chunk(meta: bytes, dictionary_at: int | None, data_at: int, size: int, values: int) -> bytes:
    rest: Struct = {
        5: (thrift.I64, values),
        6: (thrift.I64, max(size, 1)),
        7: (thrift.I64, size),
        9: (thrift.I64, data_at),
    }
    if dictionary_at is not None:
        rest[11] = (thrift.I64, dictionary_at)
    return meta + thrift.write_fields(rest, 4) + b"\0\0"


def _values(data: bytes, offsets: Sequence[int]) -> int:
    """How many values (not rows) the pages of a list column hold."""
    return sum(Reader(data, offset).struct()[5][1][1][1] for offset in offsets)
