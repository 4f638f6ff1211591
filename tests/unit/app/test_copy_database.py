"""What is carried over to another database is everything."""

from docs.generator.tree import modules
from weft.app.copy_database import TABLES


def test_the_tables_of_every_room_are_carried_over() -> None:
    rooms = {f"weft.{place.removesuffix('.py').replace('/', '.')}" for place in modules() if place.endswith("/tables.py")}

    assert rooms == set(TABLES)
