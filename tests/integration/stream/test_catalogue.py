"""Queries are stored in versions, belong to somebody, and every change is told in the log."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.integration.stream.conftest import make_query, read_topic
from weft.core.errors import Conflict, NotFound, TooLarge
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.log.port import Log
from weft.stream.catalogue import BUILT_IN, CHANGES, Catalogue
from weft.testing.clock import ManualClock


@pytest.fixture(params=["sqlite", "postgresql"])
async def catalogue(
    request: pytest.FixtureRequest, log: Log, database: Database, clock: ManualClock
) -> AsyncIterator[Catalogue]:
    if request.param == "sqlite":
        yield Catalogue(database, log, clock, limit=3)
        return
    server = Database(request.getfixturevalue("postgres_server").create_database())
    await migrate(server)
    yield Catalogue(server, log, clock, limit=3)
    await server.close()


async def test_a_query_is_found_again_as_it_was_put(catalogue: Catalogue) -> None:
    query = make_query(where="severity == 'high'", key=["source"], having="count > 3", lateness="2s", description="why")

    assert await catalogue.put(query, "user:ada") == 1

    stored = await catalogue.get("counts")
    assert (stored.query, stored.version, stored.owner) == (query, 1, "user:ada")
    assert await catalogue.topics() == ["events"]


async def test_another_question_is_another_version_and_other_words_about_it_are_not(catalogue: Catalogue) -> None:
    await catalogue.put(make_query(), "user:ada")

    assert await catalogue.put(make_query(), "user:ada") == 1
    assert await catalogue.put(make_query(description="said better"), "user:grace") == 1
    assert (await catalogue.get("counts")).query.description == "said better"
    assert await catalogue.put(make_query(window="20s"), "user:grace") == 2

    assert [version for version, _, _, _ in await catalogue.versions("counts")] == [2, 1]
    assert (await catalogue.get("counts")).owner == "user:ada"


async def test_a_name_never_gives_the_same_version_out_twice(catalogue: Catalogue) -> None:
    await catalogue.put(make_query(), "user:ada")
    await catalogue.remove("counts")

    with pytest.raises(NotFound, match="no query 'counts'"):
        await catalogue.get("counts")
    with pytest.raises(NotFound):
        await catalogue.remove("counts")
    assert await catalogue.put(make_query(), "rule:1") == 2, "results of the first one must not be taken for repeats"
    assert (await catalogue.get("counts")).owner == "rule:1"


async def test_what_belongs_to_a_rule_is_not_changed_by_hand(catalogue: Catalogue) -> None:
    await catalogue.put(make_query("of-a-rule"), "rule:1")
    await catalogue.put(make_query("of-weft"), BUILT_IN)

    for name in ("of-a-rule", "of-weft"):
        with pytest.raises(Conflict, match=name):
            await catalogue.put(make_query(name, window="1m"), "user:ada")
        with pytest.raises(Conflict, match=name):
            await catalogue.remove(name, owner="user:ada")
    await catalogue.remove("of-a-rule", owner="rule:1")


async def test_a_new_query_does_not_take_the_place_of_another(catalogue: Catalogue) -> None:
    await catalogue.put(make_query(), "user:ada", only_new=True)

    with pytest.raises(Conflict, match="already"):
        await catalogue.put(make_query(window="1m"), "user:ada", only_new=True)


async def test_there_is_an_end_to_how_many_are_stored(catalogue: Catalogue) -> None:
    for name in ("a", "b", "c"):
        await catalogue.put(make_query(name), "user:ada")

    with pytest.raises(TooLarge, match="3 queries"):
        await catalogue.put(make_query("d"), "user:ada")
    assert await catalogue.put(make_query("c", window="1m"), "user:ada") == 2
    await catalogue.remove("a")
    await catalogue.put(make_query("d"), "user:ada")


async def test_a_page_of_queries(catalogue: Catalogue) -> None:
    await catalogue.put(make_query("b"), "user:ada")
    await catalogue.put(make_query("a", **{"from": "readings"}), "rule:1")

    everything, total = await catalogue.list()
    assert ([stored.query.name for stored in everything], total) == (["a", "b"], 2)
    page, total = await catalogue.list(skip=1, limit=1)
    assert ([stored.query.name for stored in page], total) == (["b"], 2)
    assert [stored.query.name for stored in (await catalogue.list(owner="rule:1"))[0]] == ["a"]
    assert [stored.query.name for stored in (await catalogue.list(topic="events"))[0]] == ["b"]


async def test_every_change_is_told_in_the_log(catalogue: Catalogue, log: Log) -> None:
    await catalogue.put(make_query(), "user:ada")
    await catalogue.put(make_query(window="20s"), "user:ada")
    await catalogue.remove("counts")

    told = [row for batch in await read_topic(log, CHANGES) for row in batch.event_rows]
    assert [row.type for row in told] == ["weft.query.put", "weft.query.put", "weft.query.removed"]
    assert msgspec.json.decode(told[1].data) == {
        "name": "counts",
        "version": 2,
        "owner": "user:ada",
        "definition": make_query(window="20s").written(),
    }


async def test_changes_at_the_same_moment_get_versions_of_their_own(catalogue: Catalogue) -> None:
    await catalogue.put(make_query(), "user:ada")

    versions = await asyncio.gather(*(catalogue.put(make_query(window=f"{n}m"), "user:ada") for n in range(1, 6)))

    assert sorted(versions) == [2, 3, 4, 5, 6]
