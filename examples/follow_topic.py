"""Follow a topic live and print its events; after a broken connection go on exactly where it was."""

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx


def follow(client: httpx.Client, topic: str, place: str) -> Iterator[dict[str, Any]]:
    """Every event from `place` on, without end. Each one's id is its place, which the next connection asks for."""
    seen = ""
    while True:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": seen} if seen else {})}
        try:
            with client.stream("GET", f"/api/v1/topics/{topic}/stream", params={"from": place}, headers=headers) as answer:
                answer.raise_for_status()
                kind = "message"
                for line in answer.iter_lines():
                    name, _, value = line.partition(": ")
                    if name == "id":
                        seen = value
                    elif name == "event":
                        kind = value
                    elif name == "data" and kind == "message":
                        yield json.loads(value)
                    elif not line:
                        kind = "message"
        except httpx.TransportError:
            time.sleep(1)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topic", default="events")
    parser.add_argument("--from", dest="place", default="latest", help="latest, earliest, or a place such as 0:1041")
    parser.add_argument("--count", type=int, help="stop after so many")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", required=True, help="an API key with the scope events:read")
    given = parser.parse_args()

    client = httpx.Client(base_url=given.url, headers={"X-API-Key": given.key}, timeout=httpx.Timeout(10, read=None))
    for number, event in enumerate(follow(client, given.topic, given.place), start=1):
        print(event["timestamp"], event["type"], event["source"], json.dumps(event["data"]))
        if number == given.count:
            return


if __name__ == "__main__":
    main()
