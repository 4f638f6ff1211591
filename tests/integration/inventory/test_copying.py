"""The inventory is carried over to another database with everything else, and both sides prove it."""

from importlib import import_module
from pathlib import Path

import pytest

from tests.integration.inventory.conftest import Site
from tests.integration.inventory.test_shelves import NOUNS
from weft.app.copy_database import TABLES
from weft.db.copy import copy_database
from weft.db.database import Database

for room in TABLES:
    import_module(room)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_copy_of_the_database_has_the_same_inventory(site: Site, tmp_path: Path) -> None:
    for thing in NOUNS:
        await site.make(thing)
    await site.make("instruments", transfer_config={"quiet_s": 1.5, "nested": {"b": [1, None], "a": "ä"}})
    target = Database(f"sqlite:///{tmp_path / 'target.db'}")
    try:
        compared = {each.table: each for each in await copy_database(site.database, target)}
    finally:
        await target.close()
    assert all(each.same for each in compared.values())
    assert compared["instruments"].target.rows == 3
