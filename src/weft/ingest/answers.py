"""The bodies of the answers, written straight as JSON."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from weft.api.errors import problem_of
from weft.core import times
from weft.core.errors import Invalid, WeftError
from weft.core.ids import IdRange
from weft.ingest.accept import Accepted, Receipt
from weft.ingest.gather import Stored
from weft.ingest.intake import Intake, Rejection

_ONE_HEAD: Final = '{"success":true,"message":"Event created successfully","data":'
_HEX: Final = [f"{number:03x}" for number in range(4096)]
_LOW_BITS: Final = 12
_PLAIN: Final = re.compile(r"[A-Za-z0-9._:/-]*")

_encode: Final = msgspec.json.encode


class EventAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where one event went. `repeat` says that it was there before; then it has no offset of its own. `in_sync_replicas` is
    there where `durability` is `replicated`: how many hold the event."""

    event_id: str
    topic: str
    partition: int
    offset: int | None
    durability: str
    in_sync_replicas: int | None = None
    repeat: bool


class EventProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why one event was not taken. There may be more keys, such as `allowed_values`, `limit` and `retry_after_s`."""

    index: int
    field: str | None
    reason: str


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each event: ids in the order of the request (null where one was rejected), the indices of repeats, how
    many were rejected and why. `durability` is what every accepted event has, `in_sync_replicas` by how many at least."""

    event_ids: list[str | None]
    repeats: list[int]
    rejected: int
    errors: list[EventProblem]
    durability: str | None = None
    in_sync_replicas: int | None = None


def one_body(stored: Stored) -> bytes:
    """The answer to one event."""
    offset = "null" if stored.offset is None else stored.offset
    event_id = f'"{stored.event_id}"' if _PLAIN.fullmatch(stored.event_id) else _encode(stored.event_id).decode()
    return (
        f'{_ONE_HEAD}{{"event_id":{event_id},"topic":"{stored.topic}","partition":{stored.partition},"offset":{offset},'
        f'"durability":"{stored.durability}"{_in_sync(stored.in_sync_replicas)},'
        f'"repeat":{"true" if stored.repeat else "false"}}},'
        f'"timestamp":"{stored.timestamp}"}}'
    ).encode()


def _in_sync(replicas: int | None) -> str:
    """Only where it is known: a log on this machine's disk has no replicas."""
    return "" if replicas is None else f',"in_sync_replicas":{replicas}'


def batch_body(accepted: Accepted, now_us: int) -> tuple[int, bytes]:
    """Status and body of the answer to many events: 201, or 207 where some were not taken."""
    intake = accepted.intake
    errors = [*intake.rejections, *_failed(accepted)]
    errors.sort(key=lambda error: error.index)
    stored = intake.count - len(errors)
    repeats = sorted(index for receipt in accepted.receipts for index in _repeats(receipt))
    durability = accepted.receipts[0].appended.durability if accepted.receipts else None
    replicas = [known for receipt in accepted.receipts if (known := receipt.appended.in_sync_replicas) is not None]
    message = f"Batch of {stored} events created successfully"
    if errors:
        message += f"; {len(errors)} of {intake.count} were not taken"
    body = (
        b'{"success":%b,"message":"%b","data":{"event_ids":[%b],"repeats":%b,"rejected":%d,"errors":%b,"durability":%b%b},'
        b'"timestamp":"%b"}'
    ) % (
        b"false" if errors else b"true",
        message.encode(),
        _ids(accepted),
        _encode(repeats),
        len(errors),
        _encode([error.entry() for error in errors], enc_hook=str),
        _encode(durability),
        _in_sync(min(replicas, default=None)).encode(),
        times.to_text(now_us).encode(),
    )
    return (207 if errors else 201), body


def refusal(intake: Intake, *, atomic: bool) -> Invalid:
    """The error for a batch of which nothing is taken."""
    first = intake.rejections[0]
    bad = len(intake.rejections)
    said = f"{bad} of {intake.count} events are wrong, so nothing was taken" if atomic else "no event was taken"
    errors = [rejection.entry() for rejection in intake.rejections]
    return Invalid(f"{said}; event {first.index}: {first.reason}", field=first.field, errors=errors, rejected=bad)


def _failed(accepted: Accepted) -> list[Rejection]:
    """Good events of a share that the log could not take, while it took others."""
    return [
        Rejection(index=index, field=None, reason=error.message, details=_failure_details(error))
        for share, error in accepted.failures
        for index in share.indices
    ]


def _failure_details(error: WeftError) -> dict[str, Any]:
    details: dict[str, Any] = {"error": problem_of(error).error}
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        details["retry_after_s"] = retry_after_s
    return details


def _repeats(receipt: Receipt) -> list[int]:
    return [receipt.share.indices[index] for index in receipt.appended.repeats]


def _ids(accepted: Accepted) -> bytes:
    """The ids in request order as the inside of a JSON list."""
    receipts = accepted.receipts
    if len(receipts) == 1 and len(receipts[0].ids) == accepted.intake.count:
        return id_list(receipts[0].ids)
    found: list[str | None] = [None] * accepted.intake.count
    for receipt in receipts:
        for index, event_id in zip(receipt.share.indices, receipt.ids, strict=True):
            found[index] = event_id
    return _encode(found)[1:-1]


def id_list(ids: Sequence[str]) -> bytes:
    """Ids as the inside of a JSON list. The ids of a range differ in their last digits only, so they are joined, not made."""
    if not isinstance(ids, IdRange):
        return _encode(ids)[1:-1]
    parts: list[str] = []
    number, end = ids.first, ids.first + len(ids)
    while number < end:
        high = number >> _LOW_BITS
        stop = min(end, (high + 1) << _LOW_BITS)
        low = number & (len(_HEX) - 1)
        head = f"{ids.prefix}{high:09x}"
        parts.append(f'"{head}' + f'","{head}'.join(_HEX[low : low + stop - number]) + '"')
        number = stop
    return ",".join(parts).encode()
