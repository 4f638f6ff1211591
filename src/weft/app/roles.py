"""The whole platform on one page: each role, its port, and what it brings. Playing all of them is no special case."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from weft.alerts import routes as rules
from weft.alerts.notify import routes as channels
from weft.alerts.notify.parts import NotifyParts
from weft.alerts.parts import AlertParts
from weft.alerts.trials import RuleTrials
from weft.app.parts import Parts
from weft.app.resources import Resources
from weft.app.settings import AppSettings
from weft.app.write_store import write_store
from weft.audit.key import load_signing_key
from weft.audit.signer import RootSigner
from weft.identifiers import routes as identifiers
from weft.ingest import routes as doors
from weft.ingest.host_turn import HostTurn
from weft.ingest.parts import IngestParts
from weft.inventory import routes as inventory
from weft.inventory.parts import InventoryParts
from weft.query.dashboards import routes as dashboards
from weft.query.dashboards.catalogue import Dashboards
from weft.query.routes import dead_letters, erasures, events, live, metrics, series, topics
from weft.store.checks import checks as store_checks
from weft.stream import routes as queries
from weft.stream.catalogue import Catalogue
from weft.stream.parts import StreamParts


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a process can play. `appends` and `owns_store` are the rights it needs on log and store."""

    name: str
    port: Callable[[AppSettings], int]
    compose: Callable[[Resources], Awaitable[Parts]]
    appends: bool = False
    owns_store: bool = False


async def ingestion(resources: Resources) -> Parts:
    """The doors, the source of this machine's own state, and single events read back."""
    log = await resources.log()
    ingest = IngestParts.build(
        resources.settings.ingest,
        log=log,
        clock=resources.clock,
        metrics=resources.metrics,
        host_turn=HostTurn(resources.settings.app.data_dir / "host.lock"),
    )
    return Parts(
        routers=(doors.router, events.router),
        hot_routes=doors.hot_routes(ingest),
        workers=ingest.workers,
        state={"ingest": ingest},
        checks=ingest.own_checks(),
    )


async def dashboard(resources: Resources) -> Parts:
    """Figures, series, live feeds, saved dashboards, identifiers resolved, the verdict, and the inventory."""
    query, names, auth = await resources.query(), await resources.identifiers(), await resources.auth()
    database, witness = await resources.database(), (await resources.ledger()).record
    kept = InventoryParts.of(database, cipher=auth.cipher, witness=witness, clock=resources.clock)
    await kept.renew_secrets()
    views, shown = query.views, resources.metrics
    shown.add_gauge("live_subscriptions", "Live subscriptions that are open.", (), lambda: [((), views.seats)])
    shown.add_gauge("live_views", "Different views that live subscriptions share.", (), lambda: [((), len(views))])
    shown.add_gauge("live_memory_bytes", "Newest events kept in memory for live views.", (), lambda: [((), views.size_bytes)])
    return Parts(
        routers=(
            metrics.router,
            series.router,
            topics.router,
            live.router,
            dashboards.router,
            identifiers.router,
            inventory.router,
        ),
        workers=(query.feeds, query.views),
        state={
            "dashboards": Dashboards(database, resources.clock, witness=witness),
            "identifiers": names,
            "inventory": kept,
        },
        checks=query.own_checks(),
        draining=(query.drain,),
    )


async def analytics(resources: Resources) -> Parts:
    """Continuous queries: their routes, and the worker that answers them."""
    stream = StreamParts.of(
        log=await resources.log(),
        store=await resources.store(),
        database=await resources.database(),
        clock=resources.clock,
        settings=resources.settings.stream,
        metrics=resources.metrics,
        witness=(await resources.ledger()).record,
    )
    return Parts(routers=(queries.router,), workers=(stream.runner,), state={"stream": stream}, checks=stream.own_checks())


async def alerting(resources: Resources) -> Parts:
    """Rules and alerts: their routes, the worker that judges, and the one that tells people."""
    settings = resources.settings
    database, log, auth = await resources.database(), await resources.log(), await resources.auth()
    witness = (await resources.ledger()).record
    notify = NotifyParts.of(
        database,
        log,
        cipher=auth.cipher,
        settings=settings.alerts.notify,
        environment=settings.app.environment,
        clock=resources.clock,
        witness=witness,
    )
    alerts = AlertParts.of(
        log=log,
        database=database,
        catalogue=Catalogue(database, log, resources.clock, limit=settings.stream.query_limit),
        checks=resources.checks,
        clock=resources.clock,
        settings=settings.alerts,
        intended=notify.deliverer.wake,
        witness=witness,
    )
    alerts.show(resources.metrics)
    notify.show(resources.metrics)
    trials = RuleTrials.of(log=log, store=await resources.store(), clock=resources.clock, settings=settings.stream)
    return Parts(
        routers=(rules.router, channels.router),
        workers=(alerts.judge, notify.deliverer),
        state={"alerts": alerts, "notify": notify, "rule_trials": trials},
        checks={**alerts.own_checks(), **notify.own_checks()},
    )


async def storage(resources: Resources) -> Parts:
    """The store's writer, events read back, events erased, identifiers registered at their agencies; and, as the one role that
    plays once, the ledger's signer."""
    log, store = await resources.log(), await resources.store()
    query, names = await resources.query(), await resources.identifiers()
    signer = RootSigner(
        await resources.database(),
        load_signing_key(resources.settings.audit.key_file, resources.settings.app.data_dir / "secrets"),
        clock=resources.clock,
    )
    writer = await write_store(log, store, resources.clock)
    resources.metrics.add_counter(
        "store_writer_events_total", "Events this process handed to the store.", (), lambda: [((), writer.events_total)]
    )
    return Parts(
        routers=(events.router, erasures.router, topics.router, dead_letters.router, identifiers.router),
        workers=(writer, signer, query.feeds, query.views, names.registrar),
        state={"identifiers": names},
        checks={**store_checks(store, settings=resources.settings.store), **names.own_checks()},
        draining=(query.drain,),
    )


ROLES: Final = (
    Role(name="storage", port=lambda app: app.storage_port, compose=storage, appends=True, owns_store=True),
    Role(name="analytics", port=lambda app: app.analytics_port, compose=analytics, appends=True),
    Role(name="alerting", port=lambda app: app.alerting_port, compose=alerting, appends=True),
    Role(name="dashboard", port=lambda app: app.dashboard_port, compose=dashboard),
    Role(name="ingestion", port=lambda app: app.ingestion_port, compose=ingestion, appends=True),
)
"""In the order in which their workers start; they stop the other way round, so the doors close first."""
