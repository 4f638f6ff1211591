"""Numbers beyond a float and endless nesting are found, and found cheaply without overlooking one."""

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from weft.ingest.json_bounds import are_surely_finite, find_overflow, most_openers, openers

OVERFLOWING = [
    b"1e309",
    b"-1e309",
    b"1E309",
    b"1e+309",
    b"1.7976931348623159e308",
    b"1" + b"0" * 309,
    b"-9" * 1 + b"9" * 320,
    b"9" * 5000,
    b"1" + b"0" * 250 + b"e99",
    b"1" + b"0" * 250 + b".5e60",
    b"0." + b"0" * 100 + b"1e500",
    b"1e0000000000400",
    b"1e99999999999999999999",
]
FINITE = [b"1e308", b"1e-999", b"1.7976931348623157e308", b"0e999", b"123456789012345678901234567890", b"1e0000000000000001"]


@pytest.mark.contract("SF-150")
@pytest.mark.parametrize("number", OVERFLOWING, ids=lambda text: text[:12].decode())
@pytest.mark.parametrize("around", [b'{"x":%b}', b'{"x":[1,%b]}', b'{"x": %b }', b'{"t":"\\"1e999","x":%b,"y":2}'])
def test_a_number_beyond_a_float_is_found(number: bytes, around: bytes) -> None:
    text = around % number
    assert not are_surely_finite(text, len(text))
    assert find_overflow(text) is not None


@pytest.mark.parametrize("number", FINITE, ids=lambda text: text[:12].decode())
def test_a_number_that_fits_is_taken(number: bytes) -> None:
    assert find_overflow(b'{"x":%b}' % number) is None


@pytest.mark.parametrize(
    "text",
    [
        b'{"id":"3e999"}',
        b'{"id":"a \\" 1e999,"}',
        b'{"uuid":"12e99945-0e12-4e99-8e99-999e99999999"}',
        b'{"x":"' + b"1" * 400 + b'"}',
    ],
)
def test_digits_in_a_text_are_no_number(text: bytes) -> None:
    assert find_overflow(text) is None


def test_ordinary_payloads_are_proved_finite_without_a_closer_look() -> None:
    text = json.dumps({"path": "/api/v1/items/17", "status": 200, "t": 0.25, "id": "6f1e0b9a-7e55-4b0e-9e37-1c5e1e6e2e11"})
    assert are_surely_finite(text.encode(), len(text))


NUMBERS = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,4})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,4})?", fullmatch=True),
    st.integers(150, 420).map(lambda length: "7" * length),
    st.tuples(st.integers(150, 320), st.integers(0, 99)).map(lambda pair: "7" * pair[0] + f"e{pair[1]}"),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)


@given(st.lists(NUMBERS, min_size=1, max_size=8), st.text(max_size=20))
@example(["1e309"], "")
def test_no_overflow_is_overlooked(numbers: list[str], label: str) -> None:
    text = f'{{"l":{json.dumps(label)},"n":[{",".join(numbers)}]}}'.encode()
    overflows = any(math.isinf(float(number)) for number in numbers)
    assert (find_overflow(text) is not None) == overflows
    if overflows:
        assert not are_surely_finite(text, len(text))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='{}[]",\\a', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=3))
def test_there_are_at_least_as_many_brackets_as_levels(data: dict[str, Any]) -> None:
    assert openers(msgspec.json.encode(data)) >= depth_of(data)


@given(st.lists(VALUES, min_size=1, max_size=6))
def test_the_most_brackets_of_any_piece_bound_its_nesting(values: list[Any]) -> None:
    pieces = [msgspec.json.encode(value) for value in values]
    sizes = np.array([len(piece) for piece in pieces], dtype=np.int64)
    starts = np.cumsum(sizes + 1) - sizes - 1
    most = most_openers(b"\n".join(pieces), starts)
    assert most == max(piece.count(b"[") + piece.count(b"{") for piece in pieces)
