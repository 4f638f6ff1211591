"""Look at every event a deployment has, and hold it against what its clients remember."""

import json
from collections.abc import Collection

from tests.system.deployment import Deployment, wait_until
from tests.system.load import Memory

RETRY_LATER = frozenset({503, 507})
"""How a request is refused that may be sent again."""


def wait_until_settled(deployment: Deployment, *, within_s: float = 60.0) -> None:
    """Until the store has read all that stands in the log."""
    with deployment.client("storage") as client:
        seen: list[str] = []

        def settled() -> bool | None:
            answer = client.get("/api/v1/conservation")
            if answer.status_code != 200:  # what it stands on may just be coming back
                seen[:] = [answer.text]
                return None
            topics = answer.json()["topics"]
            seen[:] = [f"{topic['topic']}: {topic['in_flight_most']} ahead" for topic in topics if topic["in_flight_most"]]
            return not seen or None

        try:
            wait_until(settled, "", within_s=within_s)
        except AssertionError:
            raise AssertionError(f"the store did not catch up with the log within {within_s} s: {seen}") from None


def read_every_event(deployment: Deployment) -> dict[str, list[str]]:
    """The ids under which each key is stored."""
    found: dict[str, list[str]] = {}
    with (
        deployment.client("storage") as client,
        client.stream("GET", "/events", headers={"Accept": "application/x-ndjson"}) as answer,
    ):
        assert answer.status_code == 200
        for line in answer.iter_lines():
            event = json.loads(line)
            found.setdefault(event["data"]["key"], []).append(event["id"])
    return found


def check_every_event(deployment: Deployment, memory: Memory, *, refusals: Collection[int] = ()) -> None:
    """Each acknowledged event is there once under its id; what else is there was sent, and is there once.

    `refusals` are the statuses with which requests may have been refused; each of those said when to try again.
    """
    wait_until_settled(deployment)
    found = read_every_event(deployment)
    assert memory.acknowledged, f"nothing was acknowledged, so nothing is proven: {memory.refused[:3]}"
    lost = [key for key in memory.acknowledged if key not in found]
    assert not lost, f"{len(lost)} acknowledged events are gone, such as {lost[:5]}"
    renamed = [key for key, event_id in memory.acknowledged.items() if found[key] != [event_id]]
    assert not renamed, (
        f"{len(renamed)} are not there exactly once under their id, such as {[(key, found[key]) for key in renamed[:5]]}"
    )
    double = [key for key, ids in found.items() if len(ids) > 1]
    assert not double, f"{len(double)} events are there more than once, such as {double[:5]}"
    invented = found.keys() - memory.sent
    assert not invented, f"{len(invented)} events were never sent, such as {sorted(invented)[:5]}"
    wrong = [refusal for refusal in memory.refused if refusal.status not in refusals or not refusal.retry_after]
    assert not wrong, f"{len(wrong)} of {len(memory.refused)} refusals are not as promised, such as {wrong[:3]}"
    check_refused(memory, found)


def check_refused(memory: Memory, found: Collection[str]) -> None:
    """What was refused so that it may be sent again is not stored, unless it was sent again (it had an id of its own)."""
    refused = {key for refusal in memory.refused if refusal.status in RETRY_LATER for key in refusal.keys}
    kept = sorted(refused & set(found) - memory.given.keys())
    assert not kept, f"{len(kept)} events that were refused are stored all the same, such as {kept[:5]}"
