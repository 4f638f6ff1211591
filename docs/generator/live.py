"""The page of the live feed: what a client sends, read from the structs that decode it, and what it hears."""

import inspect
from typing import Any, Final

import msgspec

from docs.generator.page import cell, header
from weft.query.live.ask import Grant, Ping, Subscribe, Unsubscribe
from weft.query.live.update import Gap

_SENT: Final = (Subscribe, Unsubscribe, Grant, Ping)

_FEEDS = """## Feeds

| feed | what it is | scope | snapshot |
|---|---|---|---|
| `topic` | the events of the topic named in `topic` | events:read | the newest event of each type, source and subject |
| `events` | the same of the topic `events` | events:read | the same |
| `query` | the results of the continuous query named in `topic` | queries:read | the newest result of each key |
| `alerts` | every transition of every alert | alerts:read | the newest transition of each alert that is not over |
| `metrics` | the realtime figures, as `GET /metrics/realtime` answers them | events:read | the first update comes at once |

`events:read` reads every topic of the log, those of results and alerts included."""

_HEARD = """## What a client hears

| `type` | when | beside `id` |
|---|---|---|
| `subscribed` | a subscription began | `feed`, `rate`, `cursor` |
| `snapshot` | it was asked for; large ones come in several frames, all but the last with `more` | `cursor`, `events` |
| `update` | something happened | `cursor`, `events`, `gap` where something before them is left out; figures: `metrics` |
| `heartbeat` | nothing happened for `query.feed_heartbeat_s` seconds | `cursor` |
| `unsubscribed` | it was asked for; a frame that was under way may still come after it | `cursor` |
| `cut` | the feed ends: the server stops, or the log is away | `reason`, `cursor` |
| `error` | what was asked cannot be done; the connection goes on | the [body of every error](errors.md) |
| `pong` | the answer to a ping | |

An event is shown as `GET /events/{id}` shows it. The same update is the same bytes for everybody who subscribed to the same
feed, topic, filter and rate under the same id; give equal subscriptions equal ids, and a thousand clients cost one encoding."""

_CURSORS = """## Cursors

`cursor` says from where to go on: `partition:offset` of the next event, several joined by commas. After a broken connection,
subscribe again with the last one heard: everything from there on comes, as far as the log still has it. A frame with `more`
repeats the cursor from before what it is part of. `latest` and `earliest` are cursors too; without one a subscription begins
with what comes from now on, with `snapshot` with what stands now. Figures have no cursor."""

_PACE = """## Rates, slow readers and credit

With a `rate` such as `1s` an update comes at most so often and holds the newest event of each type, source and subject (of each
alert, of each key of a query). With `every` each event comes.

A client that does not read is not waited for, and nothing piles up for it. When it reads again it gets what it missed if that
is at most `query.live_backlog_events` events, else the newest event of each type, source and subject, and a gap `conflated`:
what was left out is still in the log and can be read there from the gap's `from` on. A client that takes nothing for
`query.feed_send_timeout_s` seconds is cut.

With `credit` nothing is ever conflated: no more events are sent than were granted, and the others wait in the log. A grant adds
to what is left. Credit goes with the rate `every` alone."""

_OTHERS = """## The same feeds in other forms

- `/ws/alerts?level=critical&status=firing&rule=…&filter=…` is a socket that is subscribed to `alerts` from the beginning, under
  the id `alerts`, with a snapshot (or from `cursor`). An alert that was shown once is followed until it is over.
- `/ws/topics/{topic}?from=…&type=…&source=…&filter=…` sends frames `{"type":"events","from":…,"events":[…]}`; `from` is the
  cursor. It sends every event, however late, unless `conflate=true`; `credit=100` and `{"op":"credit","events":100}` bound what
  comes.
- `/ws/metrics` pushes the realtime figures alone.
- `GET /api/v1/live/{feed}?topic=…&filter=…&rate=…&snapshot=true` is a feed as server-sent events: `snapshot`, `update` and
  `cut`, each with the frame as its data and the cursor as its id, so that a browser's `EventSource` goes on by itself.

A `filter` is an expression over one event, such as `temperature > 30 and source == "hplc-1"`. It is worked out once for each
event, however many clients use it."""


def render() -> str:
    """The page as Markdown."""
    lines = header(
        "Live",
        "`/ws/live` is one socket for any number of feeds. Who may open it and how it says who it is stands with "
        "[HTTP](http.md#websockets); how to use it, in [watch live](../how-to/live-feed.md).",
    )
    lines += [_FEEDS, "", "## What a client sends", "", "One JSON object a frame, with `op`."]
    for shape in _SENT:
        lines += ["", *_shape(shape)]
    lines += ["", _HEARD, "", "### Gap", "", _sentences(Gap), "", *_table(Gap), "", _CURSORS, "", _PACE, "", _OTHERS]
    return "\n".join(lines) + "\n"


def _shape(shape: type[msgspec.Struct]) -> list[str]:
    lines = [f"### {shape.__struct_config__.tag}", "", _sentences(shape)]
    return [*lines, "", *_table(shape)] if msgspec.structs.fields(shape) else lines


def _sentences(shape: type) -> str:
    return (inspect.getdoc(shape) or "").strip()


def _table(shape: type[msgspec.Struct]) -> list[str]:
    _, components = msgspec.json.schema_components([shape], ref_template="{name}")
    properties: dict[str, Any] = components[shape.__name__]["properties"]
    lines = ["| field | type | default |", "|---|---|---|"]
    for field in msgspec.structs.fields(shape):
        default = (
            "required"
            if field.required
            else ""
            if field.default is None
            else f"`{msgspec.json.encode(field.default).decode()}`"
        )
        lines.append(f"| `{field.encode_name}` | {cell(_kind(properties[field.encode_name]))} | {default} |")
    return lines


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(f"`{choice}`" for choice in sorted(schema["enum"]))
    kinds = schema.get("anyOf", [schema])
    told = [_bounded(kind) for kind in kinds if kind.get("type") != "null"]
    return " or ".join(told)


def _bounded(schema: dict[str, Any]) -> str:
    words = {"maxLength": "at most {} characters", "minimum": "from {}", "maximum": "to {}"}
    bounds = [words[key].format(f"{schema[key]:,}") for key in words if key in schema]
    name = {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(schema.get("type", ""), "")
    return ", ".join([name, *bounds])
