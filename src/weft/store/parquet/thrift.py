"""Thrift's compact protocol, as much as Parquet's footers need: read into plain values, change them, write them back.

A struct is a dict from field number to (type, value); a list is (element type, values). Types are Thrift's own numbers.
"""

from typing import Any, Final

from weft.core.errors import Corrupt

TRUE: Final = 1
FALSE: Final = 2
I32: Final = 5
I64: Final = 6
BINARY: Final = 8
LIST: Final = 9
STRUCT: Final = 12

Struct = dict[int, tuple[int, Any]]

_INTEGERS: Final = frozenset({4, I32, I64})
_BYTE: Final = 3
_DOUBLE: Final = 7


class Reader:
    """Reads structs from bytes, one after the other."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self.at = at

    def struct(self) -> Struct:
        """The struct that begins here. Raises Corrupt where there is none."""
        try:
            return self._struct()
        except (IndexError, KeyError, RecursionError) as broken:
            raise Corrupt(f"a Parquet footer cannot be read at byte {self.at}") from broken

    def _struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        data = self._data
        while True:
            header = data[self.at]
            self.at += 1
            if not header:
                return fields
            kind, step = header & 15, header >> 4
            number = number + step if step else self._zigzag()
            fields[number] = (kind, self._value(kind))

    def _value(self, kind: int) -> Any:
        if kind in _INTEGERS:
            return self._zigzag()
        if kind == BINARY:
            end = self._varint()
            end += self.at
            value = self._data[self.at : end]
            self.at = end
            return value
        if kind == STRUCT:
            return self._struct()
        if kind == LIST:
            return self._list()
        if kind in (TRUE, FALSE):
            return kind == TRUE
        width = {_BYTE: 1, _DOUBLE: 8}[kind]
        self.at += width
        return self._data[self.at - width : self.at]

    def _list(self) -> tuple[int, list[Any]]:
        header = self._data[self.at]
        self.at += 1
        kind, count = header & 15, header >> 4
        if count == 15:
            count = self._varint()
        if kind in (TRUE, FALSE):  # in lists a truth value is a byte of its own
            self.at += count
            return kind, [byte == TRUE for byte in self._data[self.at - count : self.at]]
        return kind, [self._value(kind) for _ in range(count)]

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        data = self._data
        byte = data[self.at]
        self.at += 1
        if byte < 128:
            return byte
        value, shift = byte & 127, 7
        while True:
            byte = data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7


def write_fields(struct: Struct, before: int = 0) -> bytes:
    """The bytes of some fields of a struct that follow field `before`, without the end of the struct."""
    out = bytearray()
    _write_fields(out, struct, before)
    return bytes(out)


def _write_struct(out: bytearray, struct: Struct | bytes) -> None:
    if isinstance(struct, bytes):  # written before
        out += struct
        return
    _write_fields(out, struct, 0)
    out.append(0)


def _write_fields(out: bytearray, struct: Struct, before: int) -> None:
    for number in sorted(struct):
        kind, value = struct[number]
        if kind in (TRUE, FALSE):
            kind = TRUE if value else FALSE
        step = number - before
        if step <= 15:
            out.append(step << 4 | kind)
        else:
            out.append(kind)
            _write_zigzag(out, number)
        before = number
        _write_value(out, kind, value)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in _INTEGERS:
        _write_zigzag(out, value)
    elif kind == BINARY:
        _write_varint(out, len(value))
        out += value
    elif kind == STRUCT:
        _write_struct(out, value)
    elif kind == LIST:
        _write_list(out, *value)
    elif kind not in (TRUE, FALSE):
        out += value


def _write_list(out: bytearray, kind: int, values: list[Any]) -> None:
    if len(values) < 15:
        out.append(len(values) << 4 | kind)
    else:
        out.append(0xF0 | kind)
        _write_varint(out, len(values))
    for value in values:
        if kind in (TRUE, FALSE):
            out.append(TRUE if value else FALSE)
        else:
            _write_value(out, kind, value)


def _write_zigzag(out: bytearray, value: int) -> None:
    _write_varint(out, value << 1 if value >= 0 else (-value << 1) - 1)


def _write_varint(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
