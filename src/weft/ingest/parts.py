"""What the ingest room needs at run time, put together once by the composition root."""

from dataclasses import dataclass
from typing import Self, cast

from starlette.requests import HTTPConnection

from weft.api.metrics import Metrics
from weft.core.clock import Clock
from weft.core.event_types import EventTypeCatalogue
from weft.core.verdict import Check
from weft.core.worker import Worker
from weft.ingest.accept import Acceptor
from weft.ingest.checks import ingest_checks
from weft.ingest.decode import Decoder
from weft.ingest.history import IntakeHistory
from weft.ingest.host_source import HostSource
from weft.ingest.host_turn import HostTurn
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
    host: HostSource | None

    @classmethod
    def build(
        cls, settings: IngestSettings, *, log: Log, clock: Clock, metrics: Metrics, host_turn: HostTurn | None = None
    ) -> Self:
        """Everything the doors need, from the log they write to. Of processes with the same `host_turn` file one samples the
        machine. Raises Invalid for a schema file that is none."""
        catalogue = read_catalogue(settings)
        rules = Rules.of(settings, catalogue)
        history = IntakeHistory(clock)
        acceptor = Acceptor(log, clock=clock, metrics=metrics, history=history, settings=settings)
        decoder = Decoder(rules, clock)
        host = None
        if settings.host_source:
            host = HostSource(settings, decoder=decoder, acceptor=acceptor, clock=clock, turn=host_turn)
        return cls(
            settings=settings,
            clock=clock,
            catalogue=catalogue,
            rules=rules,
            decoder=decoder,
            acceptor=acceptor,
            history=history,
            host=host,
        )

    @property
    def workers(self) -> tuple[Worker, ...]:
        """What the process has to run beside the doors."""
        return () if self.host is None else (self.host,)

    def own_checks(self) -> dict[str, Check]:
        """The checks of this room, for the register."""
        return ingest_checks(self.history, self.host)


def ingest_parts(connection: HTTPConnection) -> IngestParts:
    """The parts of the application that serves this request or WebSocket."""
    return cast("IngestParts", connection.app.state.ingest)
