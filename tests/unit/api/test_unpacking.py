"""Packed bodies: what comes out is bounded, and damage is the client's to hear of."""

import gzip
import zlib
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from weft.api.body import decompress
from weft.core.errors import Malformed, TooLarge

TEXT = b'{"hello":"world"}' * 100


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACK = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"Deflate": raw_deflate,
    b"zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("encoding", PACK)
def test_what_was_packed_comes_out_whole(encoding: bytes) -> None:
    assert decompress(PACK[encoding](TEXT), encoding, len(TEXT)) == TEXT


def test_gzip_files_behind_each_other_are_one_body() -> None:
    assert decompress(gzip.compress(b"one ") + gzip.compress(b"two"), b"gzip", 100) == b"one two"


def test_zstd_frames_behind_each_other_are_one_body() -> None:
    pack = zstandard.ZstdCompressor().compress
    assert decompress(pack(b"one ") + pack(b"two"), b"zstd", 100) == b"one two"


@pytest.mark.parametrize("encoding", PACK)
def test_a_bomb_is_refused_at_the_limit(encoding: bytes) -> None:
    bomb = PACK[encoding](b"\0" * 50_000_000)
    assert len(bomb) < 60_000
    with pytest.raises(TooLarge) as refused:
        decompress(bomb, encoding, 1_000_000)
    assert refused.value.details["limit"] == 1_000_000


def test_many_small_gzip_members_share_one_limit() -> None:
    with pytest.raises(TooLarge):
        decompress(gzip.compress(b"x" * 600) * 2, b"gzip", 1000)


@pytest.mark.parametrize("encoding", PACK)
def test_a_cut_off_body_is_not_taken_for_a_whole_one(encoding: bytes) -> None:
    with pytest.raises(Malformed):
        decompress(PACK[encoding](TEXT)[:-4], encoding, 10_000)


def test_a_zstd_window_that_would_take_all_memory_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    with pytest.raises(Malformed):
        decompress(packer.compress(b"x" * 1000) + packer.flush(), b"zstd", 10_000)


def test_an_encoding_nobody_knows_is_told_which_are() -> None:
    with pytest.raises(HTTPException) as refused:
        decompress(b"x", b"br", 100)
    assert refused.value.status_code == 415
    assert refused.value.headers == {"Accept-Encoding": "gzip, deflate, zstd"}


@given(st.binary(max_size=300), st.sampled_from([b"gzip", b"deflate", b"zstd"]))
def test_no_bytes_break_the_unpacking(body: bytes, encoding: bytes) -> None:
    with suppress(Malformed, TooLarge):
        assert len(decompress(body, encoding, 1000)) <= 1000
