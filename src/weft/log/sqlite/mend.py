"""Mend: a write-ahead log that is damaged in the middle is put into its segment page by page, before SQLite opens it.

SQLite takes the first bad frame for a torn tail and forgets all that follows, acknowledged commits among it. A torn tail has
at most one commit behind it that does not check; where there are whole commits of the same generation behind the first bad
frame, the middle is damaged. Then every page of these frames goes into a copy of the segment as its newest frame has it;
what the damage really hit fails its own checksum later and is named.
"""

from pathlib import Path
from typing import Final, cast

import apsw
import numpy as np
import structlog

from weft.log.sqlite.segment import copy_beside, replace_segment

Salts = np.ndarray[tuple[int, ...], np.dtype[np.uint32]]

logger = structlog.get_logger(__name__)

_HEADER_BYTES: Final = 32
_FRAME_HEAD: Final = 24
_SAMPLE: Final = 5
_MAGIC: Final = (0x377F0682, 0x377F0683)
_PAGE_SIZES: Final = tuple(512 << shift for shift in range(8))


def mend(path: Path) -> bool:
    """Mend a segment if its write-ahead log needs it; returns whether it did. Nobody else may have the segment open."""
    log = Path(f"{path}-wal")
    if not path.exists() or not log.exists() or log.stat().st_size <= _HEADER_BYTES:
        return False
    content = log.read_bytes()
    page_size = _page_size(path, content)
    frames = _frames(content, page_size)
    if len(frames) == 0:
        return False
    same = np.flatnonzero((frames[:, 2:4] == _generation(content, frames)).all(axis=1))
    commits = same[frames[same, 1] != 0]
    valid = _valid_frames(path)
    if np.count_nonzero(commits >= valid) < 2:
        return False
    last = int(commits[-1])
    pages = {int(frames[at, 0]): int(at) for at in same if at <= last}
    logger.error("log_segment_mended", path=str(path), first_bad_frame=valid, frames=last + 1)
    copy = copy_beside(path)
    with copy.open("r+b") as segment:
        for page, at in pages.items():
            start = _HEADER_BYTES + at * (_FRAME_HEAD + page_size) + _FRAME_HEAD
            segment.seek((page - 1) * page_size)
            segment.write(content[start : start + page_size])
        segment.truncate(int(frames[last, 1]) * page_size)
    replace_segment(path)
    return True


def _frames(content: bytes, page_size: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint32]]:
    """Page number, size of the database after a commit (or 0), and the two salts of each whole frame."""
    stride = _FRAME_HEAD + page_size
    count = (len(content) - _HEADER_BYTES) // stride
    whole = np.frombuffer(content, dtype=np.uint8, count=count * stride, offset=_HEADER_BYTES).reshape(count, stride)
    heads = np.ascontiguousarray(whole[:, :16]).view(">u4").astype(np.uint32)
    return cast("np.ndarray[tuple[int, int], np.dtype[np.uint32]]", heads)


def _generation(content: bytes, frames: np.ndarray[tuple[int, int], np.dtype[np.uint32]]) -> Salts:
    """The two salts of the newest generation of frames.

    The header says them. Behind a few new frames there stand old ones, of generations that are in the segment already: they
    must never be taken for the newest, however many they are. Where the header itself is damaged, the first frames have to do.
    """
    if _is_sound(content[:_HEADER_BYTES]):
        return np.frombuffer(content, dtype=">u4", count=2, offset=16).astype(np.uint32)
    salts, counts = np.unique(frames[:_SAMPLE, 2:4], axis=0, return_counts=True)
    most, first = salts[counts.argmax()], frames[0, 2:4]
    is_next = int(first[0]) == (int(most[0]) + 1) % 2**32  # SQLite counts generations in the first salt
    return first if is_next else most


def _is_sound(header: bytes) -> bool:
    """Whether the header of a write-ahead log passes its own check."""
    magic = int.from_bytes(header[:4], "big")
    if magic not in _MAGIC:
        return False
    words = np.frombuffer(header[:24], dtype=">u4" if magic & 1 else "<u4").tolist()
    first = second = 0
    for one, two in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) % 2**32
        second = (second + two + first) % 2**32
    return header[24:32] == first.to_bytes(4, "big") + second.to_bytes(4, "big")


def _valid_frames(path: Path) -> int:
    """How many frames SQLite accepts."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.wal_autocheckpoint(0)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        list(connection.execute("PRAGMA schema_version"))
        return connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0]
    except apsw.Error:
        return 0
    finally:
        connection.close(True)


def _page_size(path: Path, content: bytes) -> int:
    """As the segment says, or, where that is damaged, as the log says."""
    with path.open("rb") as segment:
        stated = int.from_bytes(segment.read(18)[16:18], "big")
    sizes = (65_536 if stated == 1 else stated, int.from_bytes(content[8:12], "big"))
    return next((size for size in sizes if size in _PAGE_SIZES), _PAGE_SIZES[0])
