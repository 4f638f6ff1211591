"""The promises of the port `Log`, one test each. An adapter's test subclasses `LogSuite` and supplies the fixture `ground`.

class TestKafkaLog(LogSuite):
    lacks = frozenset({Lack.ERASE})

    @pytest.fixture
    def ground(self, broker) -> LogGround: ...
"""

from weft.testing.log_ground import Lack, LogGround
from weft.testing.log_keeping import LogKeeping
from weft.testing.log_reading import LogReading
from weft.testing.log_writing import LogWriting

__all__ = ["Lack", "LogGround", "LogSuite"]


class LogSuite(LogWriting, LogReading, LogKeeping):
    """One test per promise."""
