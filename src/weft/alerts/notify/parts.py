"""What delivers notifications, put together once."""

from dataclasses import dataclass

from weft.alerts.notify.checks import notify_checks
from weft.alerts.notify.deliverer import Deliverer
from weft.alerts.notify.destinations import Destinations
from weft.alerts.notify.directory import Directory
from weft.alerts.notify.port import Outgoing
from weft.alerts.notify.post import Poster
from weft.alerts.notify.settings import NotifySettings
from weft.api.metrics import Metrics
from weft.auth.secrets import Cipher
from weft.auth.witness import Witness, nobody
from weft.core.clock import Clock
from weft.core.verdict import Check
from weft.db.database import Database
from weft.log.port import Log


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyParts:
    """Collaborators of the routes, at `app.state.notify`, and the worker."""

    settings: NotifySettings
    clock: Clock
    database: Database
    directory: Directory
    deliverer: Deliverer

    @classmethod
    def of(
        cls,
        database: Database,
        log: Log,
        *,
        cipher: Cipher,
        settings: NotifySettings,
        environment: str,
        clock: Clock,
        witness: Witness = nobody,
    ) -> "NotifyParts":
        """Everything about notifications on one database. Raises Invalid where `allowed_hosts` cannot be read."""
        destinations = Destinations(settings.allowed_hosts, environment=environment)
        outgoing = Outgoing(
            destinations=destinations,
            poster=Poster(destinations, timeout_s=settings.send_timeout_s, clock=clock),
            timeout_s=settings.send_timeout_s,
            clock=clock,
        )
        directory = Directory(database, cipher=cipher, outgoing=outgoing, clock=clock, witness=witness)
        deliverer = Deliverer(database, log, directory=directory, settings=settings, clock=clock)
        return cls(settings=settings, clock=clock, database=database, directory=directory, deliverer=deliverer)

    def own_checks(self) -> dict[str, Check]:
        """The checks of notifications, by code."""
        return notify_checks(self.database, clock=self.clock)

    def show(self, metrics: Metrics) -> None:
        """Let metrics tell how tries ended."""
        tries = self.deliverer.tries
        metrics.add_counter(
            "notifications_tries_total",
            "Messages this process tried to send, by kind of channel and by what became of them.",
            ("kind", "outcome"),
            lambda: sorted(tries.items()),
        )
