"""Snapshot: the state of an engine as bytes. Arrays stand in it as they are in memory; a checksum says whether all is there."""

import zlib
from typing import Any, Final, cast

import msgspec
import numpy as np
import numpy.typing as npt

from weft.core.errors import Corrupt

_HEAD: Final = b"weft-stream-1\n"
_ARRAY: Final = 1
_DTYPES: Final = ("<i8", "<f8", "<i4", "|b1", "<u8")
_CHECK_BYTES: Final = 4


def encode(state: object) -> bytes:
    """Plain values, structs and arrays of one dimension as bytes."""
    body = _ENCODER.encode(state)
    return _HEAD + zlib.crc32(body).to_bytes(_CHECK_BYTES, "big") + body


def decode(snapshot: bytes) -> Any:
    """What was encoded. Raises Corrupt where it is not whole, or was made by a version that wrote it otherwise."""
    if not snapshot.startswith(_HEAD):
        raise Corrupt("this is no snapshot of queries, or one of another version of Weft; begin without it")
    start = len(_HEAD) + _CHECK_BYTES
    body = memoryview(snapshot)[start:]
    if zlib.crc32(body).to_bytes(_CHECK_BYTES, "big") != snapshot[len(_HEAD) : start]:
        raise Corrupt(f"a snapshot of queries is damaged: the checksum of its {len(body)} bytes is wrong")
    return _DECODER.decode(body)


def _to_plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        array = cast("npt.NDArray[Any]", value)
        written = np.empty(1 + array.nbytes, dtype=np.uint8)
        written[0] = _DTYPES.index(array.dtype.str)
        written[1:] = np.ascontiguousarray(array).view(np.uint8)
        return msgspec.msgpack.Ext(_ARRAY, written.data)
    raise TypeError(f"a {type(value).__name__} has no place in a snapshot")


def _from_ext(code: int, data: memoryview) -> object:
    if code != _ARRAY:
        raise Corrupt(f"a snapshot of queries holds something of the unknown kind {code}")
    return np.frombuffer(data[1:], dtype=_DTYPES[data[0]]).copy()


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_to_plain)
_DECODER: Final = msgspec.msgpack.Decoder(ext_hook=_from_ext)
