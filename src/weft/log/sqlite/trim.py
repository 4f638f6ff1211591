"""Trim: removes whole sealed segments that are old or too many and that every group has consumed.

The ledger says so durably before a file is unlinked; a crash in between leaves a file that does not count.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from weft.core.errors import Corrupt
from weft.core.position import TopicPartition
from weft.core.repeat import NO_KEY
from weft.log.frame import Header
from weft.log.kept import KeptRepeats
from weft.log.repeats import RepeatIndex
from weft.log.sqlite.ledger import Gone
from weft.log.sqlite.partition import remove_segment, upkeep_lock
from weft.log.sqlite.segment import sync_folder
from weft.log.sqlite.segment_reader import UNREADABLE
from weft.log.sqlite.upkeep import Upkeep
from weft.log.unique import Texts


@dataclass(frozen=True, slots=True)
class TrimRule:
    """What may go: received at or before `oldest_us`, or in the way of `excess_bytes`. `horizon_us` is how far back repeats
    are recognised."""

    positions: Mapping[str, Mapping[TopicPartition, int]]
    oldest_us: int | None
    excess_bytes: int
    horizon_us: int


@dataclass(frozen=True, slots=True)
class _Part:
    """A topic's share of a segment."""

    next_offset: int
    newest_us: int


def trim(upkeep: Upkeep, rule: TrimRule) -> int:
    """Remove what the rule allows, oldest first; returns events removed. Blocks."""
    if rule.oldest_us is not None and _is_stale(upkeep, rule.oldest_us):
        upkeep.roll()
    upkeep.seal()
    excess = rule.excess_bytes
    removed = 0
    with upkeep_lock(upkeep.folder):
        sealed = upkeep.reader.sealed()
        for number in upkeep.reader.segments()[:-1]:
            size = upkeep.size_bytes(number)
            if number not in sealed or not _is_removable(upkeep, number, rule, excess > 0):
                break
            removed += _remove(upkeep, number, rule)
            excess -= size
    return removed


def _is_stale(upkeep: Upkeep, oldest_us: int) -> bool:
    """Whether the live segment holds something and all of it is old."""
    numbers = upkeep.reader.segments()
    parts = _parts(upkeep, numbers[-1]) if numbers else None
    return bool(parts) and all(part.newest_us <= oldest_us for part in parts.values())


def _parts(upkeep: Upkeep, number: int) -> dict[str, _Part] | None:
    """The topics that have something in the segment, or None where it cannot be read."""
    facts = upkeep.reader.facts(number)
    if facts is None:
        return None
    names = {start.number: name for name, start in facts.starts.items()}
    parts: dict[str, _Part] = {}
    try:
        for topic, header in upkeep.reader.reader(number).headers():
            before = parts.get(names[topic])
            newest = max(header.received_last_us, before.newest_us if before else 0)
            parts[names[topic]] = _Part(header.next_offset, newest)
    except UNREADABLE:
        return None
    return parts


def _is_removable(upkeep: Upkeep, number: int, rule: TrimRule, is_excess: bool) -> bool:
    parts = _parts(upkeep, number)
    if parts is None:
        # A segment that cannot be read goes with the one after it.
        following = next((other for other in upkeep.reader.segments() if other > number), None)
        return following is not None and _is_removable(upkeep, following, rule, is_excess)
    return all(_may_go(upkeep, topic, part, rule, is_excess) for topic, part in parts.items())


def _may_go(upkeep: Upkeep, topic: str, part: _Part, rule: TrimRule, is_excess: bool) -> bool:
    is_old = rule.oldest_us is not None and part.newest_us <= rule.oldest_us
    holders = [
        positions.get(TopicPartition(topic, upkeep.partition), 0)
        for positions in rule.positions.values()
        if any(at.topic == topic for at in positions)
    ]
    if not holders:
        return is_old
    return (is_old or is_excess) and min(holders) >= part.next_offset


def _remove(upkeep: Upkeep, number: int, rule: TrimRule) -> int:
    _keep_repeats(upkeep, number, rule.horizon_us)
    before = upkeep.ledger.gone()
    facts = upkeep.reader.facts(number)
    erased = facts.erased if facts else {}
    gone: dict[str, Gone] = {}
    removed = 0
    for topic, start in upkeep.starts_after(number).items():
        known = before.get(topic, Gone())
        events_erased = known.events_erased + erased.get(topic, 0)
        trimmed = start.events_total - events_erased
        removed += trimmed - known.events_trimmed
        gone[topic] = Gone(start.next_offset, trimmed, events_erased)
    upkeep.ledger.trim(number, gone)
    remove_segment(upkeep.folder, number)
    sync_folder(upkeep.folder)
    return removed


def _keep_repeats(upkeep: Upkeep, number: int, horizon_us: int) -> None:
    """Events with ids of their own stay recognisable for the whole horizon."""
    facts = upkeep.reader.facts(number)
    if facts is None:
        return
    names = {start.number: name for name, start in facts.starts.items()}
    newest = 0
    entries: list[tuple[int, str, str]] = []
    for topic, header, packed in upkeep.reader.keys(number):
        if header.received_last_us > horizon_us:
            newest = max(newest, header.received_last_us)
            entries.extend(_entries(upkeep, names[topic], header, packed))
    if entries:
        upkeep.keep(KeptRepeats.collect(newest, entries), horizon_us)


def _entries(upkeep: Upkeep, topic: str, header: Header, packed: bytes) -> list[tuple[int, str, str]]:
    """Salted key, source and id of each event of a batch that has an id of its own."""
    try:
        batches = upkeep.reader.read(topic, header.first_offset, 1, header.next_offset)
    except Corrupt:
        return []
    keys: list[int] = RepeatIndex.salted(topic, np.frombuffer(packed, dtype=np.uint64)).tolist()
    pairs = [pair for batch in batches for pair in Texts(batch).pairs()]
    return [(key, *pair) for key, pair in zip(keys, pairs, strict=True) if key != NO_KEY]
