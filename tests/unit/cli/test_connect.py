"""Which of several processes a command talks to."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Weft
from weft.app.run_file import RunFile, announced
from weft.cli.connect import find_url
from weft.cli.exits import Exit


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder on which storage and the dashboard are up, and the doors are not yet."""
    with ExitStack() as running:
        for number, role in enumerate(("storage", "dashboard")):
            run = RunFile(service=role, roles=(role,), url=f"http://127.0.0.1:{number}", pid=os.getpid(), started_at_us=number)
            running.enter_context(announced(tmp_path / "data", run))
        yield tmp_path / "data"


def test_events_are_not_sent_to_a_process_without_doors(weft: Weft, data: Path) -> None:
    done = weft("send-event", "--data-dir", str(data))

    assert done.code == Exit.UNREACHABLE
    assert done.err.startswith(f"weft: on the data folder {data} runs storage, dashboard, and not yet ingestion; try again")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("roles", "number"), [(("dashboard", "storage"), 1), (("storage", "ingestion"), 0), (("ingestion", "dashboard"), 1)]
)
def test_the_first_role_that_is_played_is_asked(data: Path, roles: tuple[str, ...], number: int) -> None:
    url, folder = find_url(*roles, url=None, config=None, data_dir=data)

    assert url == f"http://127.0.0.1:{number}"
    assert folder == data
