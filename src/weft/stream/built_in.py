"""The queries that come with Weft: the figures of the dashboard, derived from the topic `events` by themselves."""

from collections.abc import Sequence
from typing import Final

from weft.core.errors import Conflict
from weft.core.event import DEFAULT_TOPIC
from weft.stream.catalogue import BUILT_IN, Catalogue
from weft.stream.query import Query, read_query


def _query(name: str, description: str, **members: object) -> Query:
    return read_query({"name": name, "from": DEFAULT_TOPIC, "description": description, **members})


QUERIES: Final[Sequence[Query]] = (
    _query(
        "events_per_second",
        "Events per second, every 10 seconds.",
        window="10s",
        select={"events_per_second": "event_rate"},
    ),
    _query(
        "error_rate",
        "Events of type error ÷ all events, over 1 minute, every 10 seconds; no events, no result.",
        window={"sliding": "1m", "slide": "10s"},
        select={"error_rate": "error_rate", "error_count": "error_count"},
    ),
    _query(
        "response_time_avg",
        "The mean of data.response_time in seconds, over 1 minute, every 10 seconds.",
        window={"sliding": "1m", "slide": "10s"},
        select={"response_time_avg": "avg(data.response_time)", "response_time_max": "max(data.response_time)"},
        having="not is_null(response_time_avg)",
    ),
    _query(
        "active_users",
        "Different user ids in the last 5 minutes, every 10 seconds.",
        window={"sliding": "5m", "slide": "10s"},
        select={"active_users": "unique_users"},
    ),
    _query(
        "events_by_type",
        "Events, and events per second, of each type, every 10 seconds.",
        window="10s",
        key=["type"],
        select={"events": "count", "events_per_second": "event_rate"},
    ),
)


async def settle_built_in(catalogue: Catalogue, *, wanted: bool) -> None:
    """Put the queries of Weft into the catalogue, or take them out. A query of the same name that is somebody's own stays."""
    stored, _ = await catalogue.list(owner=BUILT_IN)
    there = {one.query.name: one.query for one in stored}
    for query in QUERIES if wanted else ():
        if there.pop(query.name, None) == query:
            continue
        try:
            await catalogue.put(query, BUILT_IN)
        except Conflict:  # somebody's own
            continue
    for name in there:
        await catalogue.remove(name, owner=BUILT_IN)
