"""How deep JSON is nested, found without parsing it, so that a hostile body cannot exhaust a parser."""

import re
from typing import Final

_TEXTS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_TO_BRACES: Final = bytes.maketrans(b"[]", b"{}")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def is_deeper_than(text: bytes, depth: int) -> bool:
    """Whether objects and lists are nested more than `depth` levels. Broken JSON may count either way."""
    if text.count(b"{") + text.count(b"[") <= depth:
        return False
    brackets = _TEXTS.sub(b"", text).translate(_TO_BRACES, _NO_BRACKETS)
    for _ in range(depth):
        if not brackets:
            return False
        brackets = brackets.replace(b"{}", b"")
    return bool(brackets)
