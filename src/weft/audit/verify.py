"""Verification: walks the chain once, holding one entry at a time, and names the first thing that is not right."""

from collections.abc import AsyncIterable, Sequence

import msgspec

from weft.audit.entry import GENESIS, Entry, Head, Line, Root
from weft.audit.key import PublicKey
from weft.core.errors import Corrupt


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `sentence` is for people; `entry` is the number of the first entry that is wrong, where it is one."""

    ok: bool
    sentence: str
    entries: int
    roots: int
    entry: int | None = None


async def verify(lines: AsyncIterable[Line], keys: Sequence[PublicKey]) -> Verification:
    """Whether the lines are one unbroken chain under signed roots. Roots that no key is there for are not taken for fine."""
    chain = _Chain(keys)
    try:
        async for line in lines:
            chain.take(line)
        chain.end()
    except Corrupt as wrong:
        sentence = f"The ledger is not what was written: {wrong.message}."
        return Verification(
            ok=False, sentence=sentence, entries=chain.number, roots=chain.roots, entry=wrong.details.get("entry")
        )
    return Verification(ok=not chain.unchecked, sentence=chain.summary(), entries=chain.number, roots=chain.roots)


class _Chain:
    def __init__(self, keys: Sequence[PublicKey]) -> None:
        self._keys = {key.id: key for key in keys}
        self._hash = GENESIS
        self._last_root: Root | None = None
        self._head: Head | None = None
        self.number = 0
        self.roots = 0
        self.unchecked: list[Root] = []

    def take(self, line: Line) -> None:
        if self._head is not None:
            raise Corrupt("something comes after the head, which is the end")
        if isinstance(line, Entry):
            self._take_entry(line)
        elif isinstance(line, Root):
            self._take_root(line)
        else:
            self._head = line

    def end(self) -> None:
        if self._head is None:
            raise Corrupt(f"it breaks off behind entry {self.number}, before the head that stands at its end")
        if self._head.number > self.number:
            raise _missing(self.number + 1, self._head.number, "of which the head knows")
        if (self._head.number, self._head.hash) != (self.number, self._hash):
            raise Corrupt(
                f"the head, entry {self._head.number}, is not the last entry, {self.number}: one of them was changed",
                entry=self.number or None,
            )

    def summary(self) -> str:
        if not self.number:
            return "The ledger is empty: nothing was written down yet."
        chain = f"{_count(self.number, 'entry', 'entries')} in one chain"
        if self.unchecked:
            first = self.unchecked[0]
            what = _count(len(self.unchecked), "signed root was", "signed roots were")
            return (
                f"{chain}, but {what} not checked, the first one of {first.day}: give the public half of the key "
                f"{first.key_id} with --key."
            )
        if self._last_root is None:
            return f"The ledger is whole: {chain}; no day has been signed yet."
        last = self._last_root
        return f"The ledger is whole: {chain}, {_count(self.roots, 'signed root', 'signed roots')}, the last one of {last.day}."

    def _take_entry(self, entry: Entry) -> None:
        expected = self.number + 1
        if entry.digest() != entry.hash:
            raise Corrupt(f"entry {entry.number} was changed, its content has another hash than it says", entry=entry.number)
        if entry.number < expected:
            raise Corrupt(f"entry {entry.number} stands behind entry {self.number}", entry=entry.number)
        if entry.number > expected:
            raise _missing(expected, entry.number - 1, f"before entry {entry.number}")
        if entry.previous != self._hash:
            if entry.number == 1:
                raise Corrupt("entry 1 was replaced, it says that something comes before it", entry=1)
            raise Corrupt(
                f"entry {entry.number} does not follow on entry {self.number}: one of them was replaced", entry=self.number
            )
        self.number, self._hash = entry.number, entry.hash

    def _take_root(self, root: Root) -> None:
        key = self._keys.get(root.key_id)
        if key is None:
            self.unchecked.append(root)
        elif not key.has_signed(root):
            raise Corrupt(f"the root of {root.day} was changed, its signature does not fit")
        if root.number > self.number:
            raise _missing(self.number + 1, root.number, f"which the root of {root.day} covers")
        if (root.number, root.hash) != (self.number, self._hash):
            first = self._last_root.number + 1 if self._last_root else 1
            raise Corrupt(
                f"entries from {first} to {root.number} were written anew after {root.day}, whose signed root has another hash",
                entry=first,
            )
        self._last_root = root
        self.roots += 1


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _missing(first: int, last: int, why: str) -> Corrupt:
    what = f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"
    return Corrupt(f"{what}, {why}", entry=first)
