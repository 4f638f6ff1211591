"""Looks: where to look for one page of events, nearest first, so that most pages need a few thousand rows of one file.

Each look is a scan and an edge: beyond that time others may hold matching events too, so only what lies on this side of it
counts. The last look has no edge and everything in it.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from weft.core.columns import EVENT_SCHEMA
from weft.store.cursor import decode
from weft.store.parquet.layout import PAGE_ROWS, StoredFile
from weft.store.parquet.scan import Scan
from weft.store.parquet.slices import PagedFiles, PageSpan
from weft.store.parquet.tail import chunk_of
from weft.store.query import Select

Look = tuple[Scan, int | None]

SLICED_ROWS: Final = 32_768
"""More rows than this are scanned by the engine from whole files."""
SLICED_FILES: Final = 16
SCANNED_ROWS: Final = 200_000

_Entry = tuple[StoredFile, PageSpan]


def looks(paged: PagedFiles, scan: Scan, select: Select) -> Iterator[Look]:
    """Ever wider looks for a page; whoever finds enough in one stops."""
    files = sorted(scan.files, key=lambda file: _rank(file, select))
    yield from _sliced(paged, scan, select, files)
    yield from _scanned(scan, select, files)


def _sliced(paged: PagedFiles, scan: Scan, select: Select, files: Sequence[StoredFile]) -> Iterator[Look]:
    """Looks into single pages of the nearest files."""
    entries: list[_Entry] = []
    opened = 0
    enough = _rows_for(select, files)
    while enough <= SLICED_ROWS:
        while opened < len(files) and _rows_before(entries, files[opened], select) < enough:
            if opened == SLICED_FILES:
                return
            file = files[opened]
            entries += [(file, page) for page in paged.get(file.path, file.file_id).spans if _is_in_reach(page, select)]
            opened += 1
        entries.sort(key=lambda entry: _rank(entry[1], select))
        taken = _taken(entries, enough)
        beyond = [*(page for _, page in entries[taken : taken + 1]), *files[opened : opened + 1]]
        nearest = min(beyond, key=lambda part: _rank(part, select), default=None)
        yield _with_pages(paged, scan, entries[:taken]), None if nearest is None else _edge(nearest, select)
        if nearest is None:
            return
        enough *= 8


def _scanned(scan: Scan, select: Select, files: Sequence[StoredFile]) -> Iterator[Look]:
    """Looks into ever more whole files."""
    taken, rows, enough = 0, 0, SCANNED_ROWS
    while taken < len(files):
        while taken < len(files) and (rows < enough or not taken):
            rows += files[taken].rows
            taken += 1
        if taken < len(files):
            yield Scan(scan.folder, scan.asked, files[:taken], scan.chunks), _edge(files[taken], select)
        enough *= 8
    yield scan, None


def _edge(part: StoredFile | PageSpan, select: Select) -> int:
    """The time at which a file or page begins, seen in the order of the pages."""
    return part.max_us if select.order == "desc" else part.min_us


def _rank(part: StoredFile | PageSpan, select: Select) -> int:
    return -part.max_us if select.order == "desc" else part.min_us


def _rows_for(select: Select, files: Sequence[StoredFile]) -> int:
    """About how many rows have to be looked at to fill the page, judged by the share of the asked types nearby."""
    wanted = select.skip + select.limit + 1
    types = select.filter.types
    near = files[:4]
    rows = sum(file.rows for file in near)
    if types is None or not rows:
        return max(PAGE_ROWS, 2 * wanted)
    matching = sum(file.rows_of(types) for file in near)
    return max(PAGE_ROWS, 2 * wanted * rows // max(matching, 1))


def _rows_before(entries: Sequence[_Entry], file: StoredFile, select: Select) -> int:
    """Rows on pages that lie wholly nearer than the file."""
    edge = _rank(file, select)
    return sum(page.rows for _, page in entries if _rank(page, select) < edge)


def _taken(entries: Sequence[_Entry], enough: int) -> int:
    rows = 0
    for taken, (_, page) in enumerate(entries):
        if rows >= enough:
            return taken
        rows += page.rows
    return len(entries)


def _is_in_reach(page: PageSpan, select: Select) -> bool:
    start_us, end_us = select.filter.start_us, select.filter.end_us
    if (start_us is not None and page.max_us < start_us) or (end_us is not None and page.min_us >= end_us):
        return False
    if select.after is None:
        return True
    time_us = decode(select.after, order=select.order, topic=select.filter.topic).time_us
    return page.min_us <= time_us if select.order == "desc" else page.max_us >= time_us


def _with_pages(paged: PagedFiles, scan: Scan, entries: Sequence[_Entry]) -> Scan:
    by_file: dict[StoredFile, list[PageSpan]] = {}
    for file, page in entries:
        by_file.setdefault(file, []).append(page)
    tables = [paged.get(file.path, file.file_id).read(pages) for file, pages in by_file.items()]
    chunks = [chunk_of(events) for table in tables for events in table.cast(EVENT_SCHEMA).to_batches()]
    return Scan(scan.folder, scan.asked, (), (*chunks, *scan.chunks))
