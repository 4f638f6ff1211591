"""Commands that work on a data folder themselves: standard output is their answer and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from weft.app.resources import Resources
from weft.cli.offline import with_resources


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_what_rooms_log_never_mixes_with_the_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def work(_: Resources) -> str:
        structlog.get_logger("weft.log").debug("work_interrupted")
        structlog.get_logger("weft.log").warning("broker_away", reason="no answer")
        return "done"

    assert with_resources(None, tmp_path, work) == "done"
    assert capsys.readouterr().out == ""
