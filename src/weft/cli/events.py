"""`weft send-event`, `weft query` and `weft tail`: events in, events out."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Final

import typer

from weft.cli.connect import Server
from weft.cli.exits import Exit
from weft.cli.options import (
    ConfigOption,
    DataDirOption,
    Format,
    FormatOption,
    RowFormat,
    RowFormatOption,
    TokenOption,
    UrlOption,
)
from weft.cli.output import write_json, write_line, write_ndjson, write_note, write_rows
from weft.core.errors import Invalid

_PER_REQUEST: Final = 500
_MULTI_STATUS: Final = 207
_COLUMNS: Final = ("timestamp", "type", "source", "severity", "data")


def send_event(
    *,
    event_type: Annotated[str, typer.Option("--type", "-t", help="Event type, such as web.click.")] = "custom",
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=10_000_000, help="How many to send.")] = 1,
    source: Annotated[str, typer.Option("--source", help="Where the events come from.")] = "weft-cli",
    data: Annotated[
        str | None, typer.Option("--data", help="The data as a JSON object.", show_default="made up to fit the type")
    ] = None,
    severity: Annotated[
        str | None, typer.Option("--severity", help="low, medium, high or critical.", show_default="medium")
    ] = None,
    style: FormatOption = Format.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Send events and wait until they are durable. Exits 1 when one was refused."""
    from weft.cli.sample import sample_data

    fields: dict[str, Any] = {"type": event_type, "source": source}
    if severity is not None:
        fields["severity"] = severity
    given = _object(data) if data is not None else None
    ids: list[str] = []
    refused: list[dict[str, Any]] = []
    with Server.find("ingestion", url=url, token=token, config=config, data_dir=data_dir) as server:
        for first in _progress(range(0, count, _PER_REQUEST), count > 20 * _PER_REQUEST):
            numbers = range(first, min(first + _PER_REQUEST, count))
            batch = [{**fields, "data": given if given is not None else sample_data(event_type, number)} for number in numbers]
            answer = server.ask("POST", "/events/batch", json={"events": batch}, accept=(_MULTI_STATUS,))
            ids.extend(event_id for event_id in answer["data"]["event_ids"] if event_id)
            refused.extend(answer["data"].get("errors") or [])
    if style is Format.JSON:
        write_json({"sent": len(ids), "event_ids": ids, "errors": refused})
    else:
        write_line(f"Sent {len(ids)} {'event' if len(ids) == 1 else 'events'} of type {event_type}.")
        for error in refused[:10]:
            write_note(f"refused: {error.get('field', '')} {error.get('reason', '')}".rstrip())
    if refused:
        raise typer.Exit(Exit.FAILED)


def query(
    *,
    event_type: Annotated[list[str] | None, typer.Option("--type", "-t", help="Event type; may be repeated.")] = None,
    source: Annotated[list[str] | None, typer.Option("--source", help="Source; may be repeated.")] = None,
    severity: Annotated[list[str] | None, typer.Option("--severity", help="Severity; may be repeated.")] = None,
    user_id: Annotated[list[str] | None, typer.Option("--user", help="User id; may be repeated.")] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", help="A field inside data: temperature=21.5; may be repeated.")
    ] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Topic to ask.", show_default="events")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First time: 2026-01-31T12:00:00Z, or 15m, 2h, 7d ago.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last time, in the same forms.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many events at most.")] = 20,
    order: Annotated[str, typer.Option("--order", help="'desc' for newest first, 'asc' for oldest first.")] = "desc",
    metric: Annotated[
        str | None, typer.Option("--metric", "-m", help="Aggregate instead: count, sum, avg, min, max, p95 or distinct.")
    ] = None,
    field: Annotated[
        str | None, typer.Option("--field", help="What the metric is computed over, such as data.temperature.")
    ] = None,
    group_by: Annotated[list[str] | None, typer.Option("--group-by", "-g", help="Group key; may be repeated.")] = None,
    interval: Annotated[str | None, typer.Option("--interval", help="Width of the group key 'interval', such as 5m.")] = None,
    style: RowFormatOption = RowFormat.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Show events, newest first, or with --metric or --group-by an aggregation over them."""
    params: list[tuple[str, Any]] = [
        *(("type", value) for value in event_type or ()),
        *(("source", value) for value in source or ()),
        *(("severity", value) for value in severity or ()),
        *(("user_id", value) for value in user_id or ()),
        *(_condition(text) for text in where or ()),
    ]
    params += [(name, value) for name, value in (("topic", topic), ("start", _moment(start)), ("end", _moment(end))) if value]
    with Server.find("storage", "ingestion", url=url, token=token, config=config, data_dir=data_dir) as server:
        if metric or group_by or interval:
            keys = list(group_by or (["interval"] if interval else ["type"]))
            params += [("metric", metric or "count"), *(("group_by", key) for key in keys)]
            params += [(name, value) for name, value in (("field", field), ("interval", interval)) if value]
            write_rows(_groups(server.ask("GET", "/events/aggregations", params=params), keys), style=style)
        else:
            columns = _COLUMNS if style is RowFormat.TABLE else None
            rows = _pages(server, [*params, ("order", order)], limit)
            if style is RowFormat.NDJSON:
                write_ndjson(rows)
            else:
                write_rows(list(rows), style=style, columns=columns)


def tail(
    *,
    topic: Annotated[str, typer.Argument(help="Topic to read.")] = "events",
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Where to begin: earliest, latest, or partition:offset such as 0:1041.",
            show_default="earliest, with --follow latest",
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new events until Ctrl-C.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Stop after so many events.")] = None,
    style: RowFormatOption = RowFormat.NDJSON,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Read a topic in the order of the log: what is there, or with --follow what comes."""
    from weft.cli.feed import follow_feed, read_what_is_there

    with Server.find("dashboard", "storage", url=url, token=token, config=config, data_dir=data_dir) as server:
        if follow:
            events = follow_feed(server, topic, start or "latest")
        else:
            events = read_what_is_there(server, topic, start or "earliest")
        for event in islice(events, limit):
            if style is RowFormat.TABLE:
                write_line("  ".join(_cell(event.get(name)) for name in _COLUMNS))
            else:
                write_ndjson([event])


def _cell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as unreadable:
        raise Invalid(f"--data is not JSON: {unreadable}", field="data") from unreadable
    if not isinstance(value, dict):
        raise Invalid("--data must be a JSON object, such as '{\"temperature\": 21.5}'", field="data")
    return value  # pyright: ignore[reportUnknownVariableType] - JSON


def _condition(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise Invalid(f"'{text}' is not a condition; write it like temperature=21.5", field="where")
    return (name if name.startswith("data.") else f"data.{name}"), value


def _moment(text: str | None) -> str | None:
    """A time as the server takes it; `15m` means 15 minutes ago."""
    if text is None or not text[-1:].isalpha() or not text[:-1].isdigit():
        return text
    import time

    from weft.core import times
    from weft.core.interval import parse_interval

    return times.to_text(time.time_ns() // 1000 - parse_interval(text))


def _groups(answer: dict[str, Any], keys: Sequence[str]) -> list[dict[str, Any]]:
    """One row per group: the keys and the value."""
    found = answer["aggregations"]
    if isinstance(found, dict):
        return [{keys[0]: key, "value": value} for key, value in found.items()]  # pyright: ignore[reportUnknownVariableType] - JSON
    return list(found)


def _pages(server: Server, params: list[tuple[str, Any]], limit: int) -> Iterator[dict[str, Any]]:
    cursor, left = "", limit
    while left > 0:
        answer = server.ask("GET", "/events", params=[*params, ("limit", min(left, _PER_REQUEST)), ("cursor", cursor)])
        yield from answer["data"]
        left -= len(answer["data"])
        cursor = answer["pagination"].get("cursor")
        if not cursor or not answer["data"]:
            return


def _progress(steps: Sequence[int], wanted: bool) -> Iterable[int]:
    if not wanted or not sys.stderr.isatty():
        return steps
    from rich.console import Console
    from rich.progress import track

    return track(steps, description="sending", console=Console(stderr=True))
