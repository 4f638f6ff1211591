"""Send the rows of a CSV file as events, each once, however often this program is stopped and started again.

The id of an event is the file's name and the row's number, so a row that was sent before is a repeat and is not stored twice.
"""

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx

ROWS_A_REQUEST = 500
PATIENCE_S = 300.0


def rows_of(file: Path, source: str) -> Iterator[dict[str, Any]]:
    """Each row as an event; numbers become numbers."""
    with file.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.DictReader(lines)):
            data = {name: _value(text) for name, text in row.items() if name and text is not None}
            yield {"id": f"{file.name}:{number}", "type": "custom", "source": source, "data": data}


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def send(client: httpx.Client, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Send until they are durable. Waits where Weft says so; gives up where sending again cannot help."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            answer = client.post("/events/batch", json={"events": events})
        except httpx.TransportError as away:
            if time.monotonic() > deadline:
                raise
            print(f"{away}; trying again", file=sys.stderr)
            time.sleep(1)
            continue
        if answer.status_code in {201, 207}:
            return answer.json()["data"]
        if answer.status_code not in {429, 503, 504, 507} or time.monotonic() > deadline:
            sys.exit(f"refused: {answer.text}")
        time.sleep(float(answer.headers.get("Retry-After", 1)))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--source", required=True)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", help="an API key with the scope events:write; not needed on the machine itself in development")
    given = parser.parse_args()

    stored = repeats = refused = 0
    rows = rows_of(given.file, given.source)
    with httpx.Client(base_url=given.url, headers={"X-API-Key": given.key} if given.key else {}, timeout=30) as client:
        while events := list(islice(rows, ROWS_A_REQUEST)):
            told = send(client, events)
            repeated, wrong = len(told.get("repeats") or []), told.get("rejected") or 0
            stored, repeats, refused = stored + len(events) - repeated - wrong, repeats + repeated, refused + wrong
    print(f"{stored} stored, {repeats} were there already, {refused} refused")


if __name__ == "__main__":
    main()
