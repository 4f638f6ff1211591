"""What the alerts room needs at run time, put together once by the composition root."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Self, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from weft.alerts.checks import alert_checks
from weft.alerts.counts import Counts
from weft.alerts.handle import Alerts
from weft.alerts.judge import Judge
from weft.alerts.rulebook import Rulebook
from weft.alerts.settings import AlertsSettings
from weft.alerts.silence import Silences
from weft.alerts.tenure import Bench
from weft.alerts.why_not import WhyNots
from weft.api.metrics import Metrics
from weft.auth.witness import Witness, nobody
from weft.core.clock import Clock
from weft.core.verdict import Check, CheckRegister
from weft.db.database import Database
from weft.log.port import Log
from weft.stream.catalogue import Catalogue

Numbers = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertParts:
    """Collaborators of the routes, at `app.state.alerts`. `judge` is a worker the process has to run."""

    log: Log
    database: Database
    clock: Clock
    settings: AlertsSettings
    counts: Counts
    rulebook: Rulebook
    alerts: Alerts
    silences: Silences
    why_nots: WhyNots
    judge: Judge

    @classmethod
    def of(
        cls,
        *,
        log: Log,
        database: Database,
        catalogue: Catalogue,
        checks: CheckRegister,
        clock: Clock,
        settings: AlertsSettings,
        intended: Callable[[], None],
        witness: Witness = nobody,
    ) -> Self:
        """The parts over a log and a database. `intended` is called once notifications wait in the outbox."""
        counts = Counts()
        rulebook = Rulebook(database, catalogue, clock, witness=witness)
        bench = Bench(
            database=database,
            log=log,
            rulebook=rulebook,
            clock=clock,
            settings=settings,
            counts=counts,
            intended=intended,
        )
        judge = Judge(bench, checks)
        return cls(
            log=log,
            database=database,
            clock=clock,
            settings=settings,
            counts=counts,
            rulebook=rulebook,
            alerts=Alerts(database, clock, changed=judge.wake),
            silences=Silences(database, clock, witness=witness),
            why_nots=WhyNots(database, log, catalogue, rulebook, checks, clock),
            judge=judge,
        )

    def show(self, metrics: Metrics) -> None:
        """Export what is counted."""
        _measure(metrics, self.counts)

    def own_checks(self) -> dict[str, Check]:
        """The checks of this room, for the register."""
        return alert_checks(self.database, self.counts, self.clock)


def alert_parts(connection: HTTPConnection) -> AlertParts:
    """The parts of the application that serves this request."""
    return cast("AlertParts", connection.app.state.alerts)


Parts = Annotated[AlertParts, Depends(alert_parts)]
"""For a route's signature."""


def _measure(metrics: Metrics, counts: Counts) -> None:
    def transitions() -> Numbers:
        return [((change,), count) for change, count in sorted(counts.transitions.items())]

    metrics.add_counter("alerts_fired_total", "Alerts that began to fire.", (), lambda: [((), counts.transitions["firing"])])
    metrics.add_counter("alerts_transitions_total", "What happened to alerts.", ("change",), transitions)
    metrics.add_counter("alerts_results_total", "Results judged.", (), lambda: [((), counts.results)])
    metrics.add_counter("alerts_gaps_total", "Windows judged in which nothing came.", (), lambda: [((), counts.gaps)])
    metrics.add_counter(
        "alerts_notifications_total", "Notifications put into the outbox.", (), lambda: [((), counts.notifications)]
    )
