"""Custom aggregates: a package that brings a function finds it in queries, without a line of ours."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.stream.engine import EngineUnderTest, event
from weft.core.errors import Invalid, Unsupported
from weft.core.times import MINUTE_US
from weft.stream import custom

MODULE = """
import math
import struct
from weft.stream.custom import CustomAggregate

class Geometric(CustomAggregate):
    sentence = "The geometric mean."
    phrase = "the geometric mean of {0}"

    def __init__(self, logs=0.0, count=0):
        self.logs, self.count = logs, count

    def add(self, values):
        self.logs += math.fsum(map(math.log, values))
        self.count += len(values)

    def merge(self, other):
        self.logs += other.logs
        self.count += other.count

    def value(self):
        return math.exp(self.logs / self.count)

    @property
    def size_bytes(self):
        return 64

    def save(self):
        return struct.pack("dq", self.logs, self.count)

    @classmethod
    def load(cls, saved):
        return cls(*struct.unpack("dq", saved))
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with one aggregate that works and one that is none."""
    (tmp_path / "geometric_of_somebody.py").write_text(MODULE)
    information = tmp_path / "geometric_of_somebody-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: geometric-of-somebody\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[weft.aggregate]\ngeometric = geometric_of_somebody:Geometric\nbroken = geometric_of_somebody:math\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    custom._named.cache_clear()
    yield
    custom._named.cache_clear()
    custom._load.cache_clear()
    sys.modules.pop("geometric_of_somebody", None)


@pytest.mark.usefixtures("installed")
@pytest.mark.contract("SF-164")
def test_a_function_of_another_package_is_used_like_ours_and_survives_a_restart() -> None:
    engine = EngineUnderTest({"window": "1m", "key": ["source"], "select": {"mean": "geometric(value where value > 0)"}})
    engine.take([event(1, "a", value=2), event(2, "a", value=8), event(3, "b", value=-1)])
    engine.restart()
    engine.take([event(4, "a", value=4)])
    results = engine.tick(2 * MINUTE_US)

    assert [(result.key, result.values["mean"]) for result in results] == [
        ({"source": "a"}, pytest.approx(4)),
        ({"source": "b"}, None),
    ]


@pytest.mark.usefixtures("installed")
def test_one_that_cannot_be_used_is_named() -> None:
    with pytest.raises(Unsupported, match=r"broken.*CustomAggregate"):
        EngineUnderTest({"window": "1m", "select": {"x": "broken(value)"}})


def test_without_the_package_there_is_no_such_function() -> None:
    with pytest.raises(Invalid, match="geometric"):
        EngineUnderTest({"window": "1m", "select": {"x": "geometric(value)"}})
