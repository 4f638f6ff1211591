"""Judged: what a rule made of one result, with everything needed to say why."""

from typing import Any

import msgspec

from weft.alerts.phase import Seen
from weft.alerts.rule import AlertLevel
from weft.stream.expression.evaluate import Step


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One condition of a rule over one result: its text, what came out, and the value of every part of it."""

    condition: str
    is_true: bool | None
    level: AlertLevel | None = None
    steps: list[Step] = []


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why: the rule's version, the window, its values, what each condition made of them, and where the events lie.

    `result_id` is None where there was no result: the window is over and nothing came.
    """

    rule_version: int
    start_us: int
    end_us: int
    revision: int = 0
    events: int = 0
    values: dict[str, Any] = {}
    reasons: list[Reason] = []
    error: str | None = None
    query: str | None = None
    query_version: int | None = None
    result_id: str | None = None
    topic: str | None = None
    first_offsets: dict[int, int] = {}
    last_offsets: dict[int, int] = {}


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a window says, for the life-cycle, and the values it says it with."""

    seen: Seen
    values: dict[str, Any]
