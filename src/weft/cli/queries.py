"""`weft queries …`: continuous queries, answered while events arrive; add them, look at them, try them out."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from weft.cli.connect import Server
from weft.cli.definition import (
    HavingOption,
    KeyOption,
    NameOption,
    SelectOption,
    TopicOption,
    WhereOption,
    WindowOption,
    read_definitions,
    read_events,
)
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
from weft.core.errors import Invalid, Unavailable

app = typer.Typer(help="Add, look at and try out continuous queries.", no_args_is_help=True, rich_markup_mode=None)

NameArgument = Annotated[str, typer.Argument(help="Name of the query.", show_default=False)]
FileArgument = Annotated[
    Path | None,
    typer.Argument(help="File with one query or a list of them, YAML or JSON; - is standard input.", show_default=False),
]
QueryArgument = Annotated[
    str, typer.Argument(help="File with a query, YAML or JSON; or the name of one that is there.", show_default=False)
]
_ROLE = "analytics"


@app.command("list")
def list_queries(
    *,
    owner: Annotated[str | None, typer.Option("--owner", help="Only those of this owner.", show_default="all")] = None,
    topic: Annotated[str | None, typer.Option("--from", help="Only those that read this topic.", show_default="all")] = None,
    style: RowFormatOption = RowFormat.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """List the queries and how far each is answered."""
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        rows = [_row(query) for query in query_pages(server, {"owner": owner, "from": topic})]
    columns = ("name", "version", "from", "window", "watermark", "lag", "results", "late") if style is RowFormat.TABLE else None
    write_rows(rows, style=style, columns=columns)


@app.command()
def show(
    name: NameArgument,
    *,
    results: Annotated[int, typer.Option("--results", "-n", min=0, max=1000, help="How many of its newest results.")] = 0,
    style: FormatOption = Format.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Show a query, how far it is answered, and its newest results."""
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        query = server.ask("GET", _path(name))
        found: list[dict[str, Any]] = []
        if results:
            found = server.ask("GET", _path(name) + "/results", params={"limit": results})["items"]
    if style is Format.JSON:
        write_json(query | ({"results": found} if results else {}))
        return
    write_json(query["definition"])
    row = _row(query)
    write_rows([{"what": name, "value": row[name]} for name in row if row[name] is not None], style="table")
    if found:
        write_rows([_result_row(result) for result in found], style="table")


@app.command()
def add(
    file: FileArgument = None,
    *,
    name: NameOption = None,
    topic: TopicOption = "events",
    where: WhereOption = None,
    key: KeyOption = None,
    window: WindowOption = None,
    select: SelectOption = None,
    having: HavingOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of a query of this name.")] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Add queries from a file, or one from options."""
    definitions = read_definitions(
        file,
        {"name": name, "from": topic, "where": where, "key": key, "window": window, "select": select, "having": having},
    )
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        for definition in definitions:
            if replace:
                added = server.ask("PUT", _path(str(definition.get("name", ""))), json=definition)
            else:
                added = server.ask("POST", "/api/v1/queries", json=definition)
            write_line(f"{added['name']} version {added['version']} answers in the topic {added['results_topic']}.")


@app.command()
def remove(
    name: NameArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove a query. Its results stay."""
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        server.ask("DELETE", _path(name))
    write_line(f"The query '{name}' is removed.")


@app.command("test")
def try_out(
    query: QueryArgument,
    events: Annotated[
        Path, typer.Argument(help="File of events, one JSON object a line; - is standard input.", show_default=False)
    ],
    *,
    style: RowFormatOption = RowFormat.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Answer a query over events in a file. Nothing is stored."""
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        body = {"query": _definition(server, query), "events": read_events(events)}
        answer = server.ask("POST", "/api/v1/queries/test", json=body)
    rows = answer["results"] if style is not RowFormat.TABLE else [_result_row(result) for result in answer["results"]]
    write_rows(rows, style=style)
    if answer["late"]:
        lines = ", ".join(str(place + 1) for place in answer["late"])
        write_note(f"Too late, and not counted: line {lines}.")


@app.command()
def explain(
    query: QueryArgument,
    *,
    style: FormatOption = Format.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Say in words what a query counts and when it answers."""
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        answer = server.ask("POST", "/api/v1/queries/explain", json={"query": _definition(server, query)})
    if style is Format.JSON:
        write_json(answer)
        return
    for line in answer["lines"]:
        write_line(line)


@app.command()
def backtest(
    query: QueryArgument,
    *,
    start: Annotated[str | None, typer.Option("--start", help="Events from this time on: 2026-01-31T12:00:00Z.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="Events before this time.")] = None,
    origin: Annotated[
        str, typer.Option("--origin", help="'store' for all that is kept, 'log' for what the log holds.")
    ] = "store",
    style: RowFormatOption = RowFormat.NDJSON,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Answer a query over history. Ctrl-C stops it."""
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        body = {"query": _definition(server, query), "start": start, "end": end, "origin": origin}
        results = _backtest(server, body)
        if style is RowFormat.NDJSON:
            for result in results:  # each at once, because there may be more to wait for
                write_ndjson([result])
        else:
            write_rows([_result_row(result) if style is RowFormat.TABLE else result for result in results], style=style)


def _backtest(server: Server, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    headers = {"Accept": "application/x-ndjson"}
    with server.stream("/api/v1/queries/backtest", method="POST", json=body, headers=headers) as answer:
        for line in answer.iter_lines():
            told = json.loads(line)
            if "result" in told:
                yield told["result"]
            elif "error" in told:
                raise Unavailable(told["error"]["message"])
            elif "done" in told:
                done = told["done"]
                write_note(f"{done['events']} events, {done['results']} results, {done['late']} too late, {done['took_s']} s.")
            elif sys.stderr.isatty():
                write_note(f"{told['progress']['events']} of {told['progress']['of']} events")


def _definition(server: Server, query: str) -> dict[str, Any]:
    """The query of a file, or the one of that name on the server."""
    if query == "-" or Path(query).exists() or query.endswith((".yaml", ".yml", ".json")):
        definitions = read_definitions(Path(query), {})
        if len(definitions) != 1:
            raise Invalid(f"{query} holds {len(definitions)} queries; this takes one", field="query")
        return definitions[0]
    definition: dict[str, Any] = server.ask("GET", _path(query))["definition"]
    return definition


def query_pages(server: Server, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every query there is that fits, page for page."""
    skip = 0
    while True:
        page = server.ask("GET", "/api/v1/queries", params={**params, "skip": skip, "limit": 1000})
        yield from page["items"]
        skip += len(page["items"])
        if not page["items"] or skip >= page["total"]:
            return


def _path(name: str) -> str:
    return f"/api/v1/queries/{quote(name, safe='')}"


def _row(query: dict[str, Any]) -> dict[str, Any]:
    definition: dict[str, Any] = query["definition"]
    state: dict[str, Any] = query["state"] or {}
    return {
        "name": query["name"],
        "version": query["version"],
        "owner": query["owner"],
        "from": definition["from"],
        "window": definition["window"],
        **{name: state.get(name) for name in ("watermark", "lag", "keys", "results", "late", "refused", "failure")},
    }


def _result_row(result: dict[str, Any]) -> dict[str, Any]:
    window = {"start": result["window"]["start"], "end": result["window"]["end"]}
    revision = {} if result["final"] and result["revision"] == 1 else {"revision": result["revision"]}
    return {**window, **result["key"], **result["values"], "events": result["events"], **revision}
