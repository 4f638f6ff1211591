"""Killed at any moment, a change and its entry are both there or neither, and the chain is whole."""

import asyncio
import multiprocessing
import random
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.integration.audit.conftest import Books
from tests.integration.audit.write_program import write_until_killed
from weft.audit.entry import Entry
from weft.audit.lines import read_database
from weft.db.tables import LeaseRow

PATIENCE_S = 60


@pytest.mark.contract("HC-S39")
@pytest.mark.parametrize("rounds", [6, pytest.param(300, marks=pytest.mark.soak)])
async def test_a_change_and_its_entry_are_both_there_or_neither(books: Books, tmp_path: Path, rounds: int) -> None:
    dice = random.Random(rounds)
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([write_until_killed.__module__])
    done = tmp_path / "done"
    done.touch()
    for number in range(rounds):
        known = done.stat().st_size
        writers = [forks.Process(target=write_until_killed, args=(books.url, f"{number}-{side}", str(done))) for side in "ab"]
        for writer in writers:
            writer.start()
        async with asyncio.timeout(PATIENCE_S):
            while done.stat().st_size == known:  # noqa: ASYNC110 - another process can only be watched
                await asyncio.sleep(0.002)
        await asyncio.sleep(dice.uniform(0, 0.1))  # where in the next unit of work the kill falls
        for writer in writers:
            writer.kill()
            writer.join()

    entries = [line.entity_id async for line in read_database(books.database) if isinstance(line, Entry)]
    async with books.database.reading() as session:
        rows = set(await session.scalars(select(LeaseRow.name)))
    assert sorted(rows) == sorted(str(entity_id) for entity_id in entries)
    assert set(done.read_text().split()) <= rows, "something that was acknowledged is gone"
    found = await books.verify()
    assert found.ok, found.sentence
    assert found.entries >= rounds
