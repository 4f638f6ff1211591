"""What makes, resolves and registers names, put together once."""

from collections.abc import Mapping
from dataclasses import dataclass

from weft.api.metrics import Metrics
from weft.core.clock import Clock
from weft.core.verdict import Check
from weft.db.database import Database
from weft.identifiers.agencies import open_agencies
from weft.identifiers.checks import identifier_checks
from weft.identifiers.mint import Minter
from weft.identifiers.name import Scheme
from weft.identifiers.port import Agency
from weft.identifiers.registrar import Registrar
from weft.identifiers.resolve import Resolver
from weft.identifiers.settings import IdentifiersSettings
from weft.identifiers.where import Where


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierParts:
    """Collaborators of the routes, at `app.state.identifiers`, and the worker."""

    settings: IdentifiersSettings
    clock: Clock
    database: Database
    minter: Minter
    resolver: Resolver
    where: Where
    agencies: Mapping[Scheme, Agency]
    registrar: Registrar

    @classmethod
    def of(cls, database: Database, *, settings: IdentifiersSettings, clock: Clock) -> "IdentifierParts":
        """Everything about identifiers on one database."""
        where = Where(settings)
        agencies = open_agencies(settings, database, where)
        return cls(
            settings=settings,
            clock=clock,
            database=database,
            minter=Minter(settings, clock),
            resolver=Resolver(database, settings),
            where=where,
            agencies=agencies,
            registrar=Registrar(database, agencies, settings=settings, clock=clock),
        )

    async def close(self) -> None:
        """Let go of the agencies."""
        for agency in self.agencies.values():
            await agency.close()

    def own_checks(self) -> dict[str, Check]:
        """The checks of identifiers, by code."""
        return identifier_checks(self.database, clock=self.clock)

    def show(self, metrics: Metrics) -> None:
        """Let metrics tell how tries ended."""
        tries = self.registrar.tries
        metrics.add_counter(
            "identifiers_registration_tries_total",
            "Tries of this process to register identifiers, by scheme and by what became of them.",
            ("scheme", "outcome"),
            lambda: sorted(tries.items()),
        )
