"""A whole batch checked in columns: a proof that all its events are good, or None.

None does not mean that something is wrong. It means that the exact check has to look at each event; what this proves right,
the exact check finds right too (tests hold the two together). Nearly every batch passes here, so what these few lines cost
is what checking costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np

from weft.core.batch import Int64s
from weft.core.errors import Invalid
from weft.core.event import EMPTY_OBJECT, EventRow
from weft.ingest import json_bounds
from weft.ingest.rules import INTERNAL, Rules
from weft.ingest.time_column import parse_column, parse_each

_OPEN_BRACE: Final = np.uint8(ord("{"))
_NUL: Final = b"\\u0000"


@dataclass(frozen=True, slots=True)
class Columns:
    """What is known of good events: their times, and their topics where they do not all go to the default one."""

    times_us: Int64s
    topics: Sequence[str] | None


def sweep(rows: Sequence[EventRow], text: bytes, rules: Rules, now_us: int) -> Columns | None:
    """Prove the decoded `rows` of the JSON `text` good. `text` is known to be UTF-8; event sizes are known to be fine."""
    if not _are_types_known(rows, rules) or (b"\\" in text and _NUL in text):
        return None
    topics = _topics(rows, rules)
    if topics is None or not _are_payloads_bounded(rows, text, rules):
        return None
    times_us = _times_us(rows, rules, now_us)
    return None if times_us is None else Columns(times_us, topics or None)


def _are_types_known(rows: Sequence[EventRow], rules: Rules) -> bool:
    names = {row.type for row in rows}
    if not rules.schemas.keys().isdisjoint(names):
        return False  # these have their `data` checked one by one
    return names <= rules.types or (rules.any_type and not any(name.startswith(INTERNAL) for name in names))


def _topics(rows: Sequence[EventRow], rules: Rules) -> Sequence[str] | None:
    """The topic of each event, [] where all go to the default one, None where one is not known."""
    named = {row.topic for row in rows}
    if named == {None}:
        return ()
    named.discard(None)
    if not (named <= rules.topics or rules.any_topic):
        return None
    if named == {rules.default_topic}:
        return ()
    return [row.topic or rules.default_topic for row in rows]


def _are_payloads_bounded(rows: Sequence[EventRow], text: bytes, rules: Rules) -> bool:
    """Whether every `data` and `metadata` is an object of finite numbers, not nested too deep."""
    payloads = [row.data for row in rows]
    metadata = [row.metadata for row in rows]
    if metadata.count(EMPTY_OBJECT) != len(rows):
        payloads += metadata
    joined = b"\n".join(payloads)
    starts = json_bounds.starts_of(joined, payloads)
    longest = max(int((starts[1:] - starts[:-1]).max(initial=0)), len(joined) - int(starts[-1]))
    if (json_bounds.as_bytes(joined)[starts] != _OPEN_BRACE).any() or not json_bounds.are_surely_finite(joined, longest):
        return False
    if longest > 2 * rules.nesting and json_bounds.most_openers(joined, starts) > rules.nesting:
        return False
    # A key given twice hides its first value from the decoder, not from who reads the log. Beyond the payloads there is one
    # bracket for each event and one for its tags; no more than the bound may be left over.
    spare = json_bounds.openers(text) - json_bounds.openers(joined) - len(rows)
    return spare <= rules.nesting or spare - len(rows) + [row.tags for row in rows].count(()) <= rules.nesting


def _times_us(rows: Sequence[EventRow], rules: Rules, now_us: int) -> Int64s | None:
    """Each event's time, or None where one is wrong or may be."""
    texts, others = [row.timestamp for row in rows], [row.time for row in rows]
    if texts[0] is None:
        texts, others = others, texts
    if others.count(None) != len(rows):
        if any(one is not None and other is not None for one, other in zip(texts, others, strict=True)):
            return None
        texts = [one or other for one, other in zip(texts, others, strict=True)]
    return _parse(texts, rules, now_us)


def _parse(texts: Sequence[str | None], rules: Rules, now_us: int) -> Int64s | None:
    absent = texts.count(None)
    if absent == len(texts):
        return np.full(absent, now_us, dtype=np.int64)
    given = [text for text in texts if text is not None] if absent else cast("Sequence[str]", texts)
    try:
        parsed = parse_column(given)
        if parsed is None:
            parsed = parse_each(given)
    except Invalid:
        return None
    if parsed.max() > now_us + rules.max_ahead_us:
        return None
    if not absent:
        return parsed
    times_us = np.full(len(texts), now_us, dtype=np.int64)
    times_us[[index for index, text in enumerate(texts) if text is not None]] = parsed
    return times_us
