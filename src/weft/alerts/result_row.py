"""Result rows: results of queries as they stand in the log, read for judging."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from weft.alerts.phase import Seen
from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.stream.publish import RESULT_TYPE


class _Window(msgspec.Struct, frozen=True):
    start_us: int
    end_us: int


class ResultRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one result says. `offsets` are, for each partition of the topic asked, the first and last event that counted."""

    query: str
    version: int
    key: dict[str, str | None]
    window: _Window
    revision: int
    final: bool
    events: int
    values: dict[str, Any]
    offsets: dict[str, tuple[int, int]] = {}

    @property
    def seen(self) -> Seen:
        """Its window, not judged yet."""
        window = self.window
        return Seen(start_us=window.start_us, end_us=window.end_us, is_true=None, revision=self.revision, final=self.final)


_ROW: Final = msgspec.json.Decoder(ResultRow)


def read_results(batch: LogBatch) -> Iterator[tuple[str, ResultRow]]:
    """The id and content of each result of a batch. Raises Corrupt where one cannot be read."""
    for event_id, row in zip(batch.ids, batch.event_rows, strict=True):
        if row.type != RESULT_TYPE:
            continue
        try:
            yield event_id, _ROW.decode(row.data)
        except msgspec.MsgspecError as unreadable:
            raise Corrupt(
                f"the result {event_id} in {batch.topic} cannot be read: {unreadable}", topic=batch.topic, id=event_id
            ) from unreadable
