"""What the ingest room needs at run time, put together once by the composition root."""

from dataclasses import dataclass
from typing import Self, cast

from starlette.requests import HTTPConnection

from weft.api.metrics import Metrics
from weft.core.clock import Clock
from weft.core.event_types import EventTypeCatalogue
from weft.ingest.accept import Acceptor
from weft.ingest.decode import Decoder
from weft.ingest.history import IntakeHistory
from weft.ingest.rules import Rules, read_catalogue
from weft.ingest.settings import IngestSettings
from weft.log.port import Log


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestParts:
    """`app.state.ingest` of an application."""

    settings: IngestSettings
    clock: Clock
    catalogue: EventTypeCatalogue
    rules: Rules
    decoder: Decoder
    acceptor: Acceptor
    history: IntakeHistory

    @classmethod
    def build(cls, settings: IngestSettings, *, log: Log, clock: Clock, metrics: Metrics) -> Self:
        """Everything the doors need, from the log they write to. Raises Invalid for a schema file that is none."""
        catalogue = read_catalogue(settings)
        rules = Rules.of(settings, catalogue)
        history = IntakeHistory(clock)
        acceptor = Acceptor(log, clock=clock, metrics=metrics, history=history, default_topic=settings.default_topic)
        return cls(
            settings=settings,
            clock=clock,
            catalogue=catalogue,
            rules=rules,
            decoder=Decoder(rules, clock),
            acceptor=acceptor,
            history=history,
        )


def ingest_parts(connection: HTTPConnection) -> IngestParts:
    """The parts of the application that serves this request or WebSocket."""
    return cast("IngestParts", connection.app.state.ingest)
