"""The store of this configuration, copied to another address."""

from collections.abc import Sequence
from typing import cast

from weft.app.resources import Resources, store_url
from weft.core.adapters import load_adapter
from weft.core.errors import Conflict, Invalid
from weft.core.position import TopicPartition
from weft.log.port import Log
from weft.store.copy import Compared, Report, copy_store
from weft.store.port import EventStore


async def copy_configured_store(resources: Resources, url: str, *, as_history: bool, report: Report) -> Sequence[Compared]:
    """Copy every event of the configured store to the store at `url` and compare the digests of both.

    Without `as_history` the copy belongs to the same log as the original and goes on where it stands.
    """
    configured = store_url(resources.settings.app)
    if url == configured:
        raise Invalid("the store cannot be copied to where it is", field="to")
    async with _open(resources, configured, write=False) as source, _open(resources, url, write=True) as target:
        log = await resources.log()
        if as_history:
            await _check_all_is_stored(log, source)
        else:
            await target.bind(await log.identity())
        return await copy_store(source, target, as_history=as_history, report=report)


def _open(resources: Resources, url: str, *, write: bool) -> EventStore:
    adapter = load_adapter("store", url)
    return cast("EventStore", adapter(url, settings=resources.settings.store, clock=resources.clock, write=write))


async def _check_all_is_stored(log: Log, store: EventStore) -> None:
    """What only the log has yet would stay behind with it."""
    stored = await store.flushed()
    for state in (await log.state()).partitions:
        left = state.end_offset - max(stored.get(TopicPartition(state.topic, state.partition), 0), state.start_offset)
        if left > 0:
            raise Conflict(
                f"{left} offsets of {state.topic}/{state.partition} stand in the log and not in the store yet; "
                "start Weft until it has caught up (weft status), stop it, and copy then"
            )
