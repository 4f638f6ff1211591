"""Writes answers: tables for people, JSON, NDJSON and CSV for programs. Colour only on a terminal."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer


def write_json(value: object) -> None:
    """One JSON document."""
    typer.echo(json.dumps(value, indent=2, default=str))


def write_line(text: str = "") -> None:
    """A line for people."""
    typer.echo(text)


def write_note(text: str) -> None:
    """A line for people that is not part of the answer; a pipe never sees it."""
    typer.echo(text, err=True)


def write_rows(rows: Sequence[Mapping[str, Any]], *, style: str, columns: Sequence[str] | None = None) -> None:
    """Rows in the asked style (`table`, `json`, `ndjson`, `csv`); `columns` picks them, by default all."""
    names = list(columns) if columns is not None else list(dict.fromkeys(name for row in rows for name in row))
    if style == "json":
        write_json([dict(row) for row in rows])
    elif style == "ndjson":
        write_ndjson(rows)
    elif style == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_plain(row.get(name)) for name in names] for row in rows)
    else:
        _write_table(rows, names)


def write_ndjson(rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line, each written at once."""
    for row in rows:
        sys.stdout.write(json.dumps(row, default=str, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _write_table(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_readable(row.get(name))) for name in names))
    console.print(table)


def _readable(value: object) -> str:
    """A cell for people: six digits of a fraction say enough."""
    return f"{value:.6g}" if isinstance(value, float) and abs(value) < 1e6 else _plain(value)


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        return json.dumps(value, default=str, separators=(",", ":"))
    return str(value)
