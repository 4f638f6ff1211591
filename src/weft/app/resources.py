"""What a process holds open: log, store, database, accounts, ledger. Opened when first needed, closed in reverse order."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, cast
from urllib.parse import unquote, urlsplit

from weft.api.health import HealthRegister
from weft.api.metrics import Metrics
from weft.app.settings import AppSettings, Settings
from weft.app.tail import FreshStore
from weft.audit.ledger import Ledger
from weft.auth.parts import AuthParts, open_auth
from weft.cache.circuit import Circuit
from weft.cache.port import Cache
from weft.core.adapters import load_adapter
from weft.core.clock import Clock
from weft.core.verdict import CheckRegister
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.identifiers.parts import IdentifierParts
from weft.log.port import Log
from weft.query.parts import QueryParts
from weft.store.port import EventStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a process opens, and with which rights. Of each store one process is the owner; the others read it."""

    service: str
    appends: bool = False
    owns_store: bool = False


class Resources:
    """The open things of one process. `async with` closes them, whatever happened."""

    def __init__(self, settings: Settings, needs: Needs, *, clock: Clock, version: str) -> None:
        self.settings = settings
        self.clock = clock
        self.version = version
        self._needs = needs
        self.metrics = Metrics(settings.api.metrics_prefix)
        self.checks = CheckRegister()
        self.health = HealthRegister(
            service=needs.service, version=version, clock=clock, timeout_s=settings.api.health_timeout_s
        )
        self._stack = AsyncExitStack()
        self._log: Log | None = None
        self._store: EventStore | None = None
        self._cache: Circuit | None = None
        self._database: Database | None = None
        self._ledger: Ledger | None = None
        self._auth: AuthParts | None = None
        self._query: QueryParts | None = None
        self._identifiers: IdentifierParts | None = None

    @property
    def service(self) -> str:
        """The name this process answers with."""
        return self._needs.service

    @property
    def appends(self) -> bool:
        """Whether this process may append to the log."""
        return self._needs.appends

    @property
    def owns_store(self) -> bool:
        """Whether this process is the one that writes the store."""
        return self._needs.owns_store

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    def at_end(self, close: Callable[[], Awaitable[None]]) -> None:
        """Close something else too, before everything that was opened before it."""
        self._stack.push_async_callback(close)

    async def log(self) -> Log:
        """The log: to append where a role of this process does, else to read."""
        if self._log is None:
            url = log_url(self.settings.app)
            adapter = load_adapter("log", url)
            log = cast(
                "Log",
                adapter(url, settings=self.settings.log, clock=self.clock, append=self._needs.appends),
            )
            self._log = await self._stack.enter_async_context(log)
        return self._log

    async def store(self) -> EventStore:
        """The store, to write where this process plays storage. A reader of files that another process owns keeps up with the
        log by itself; a store that machines share is as fresh for everybody."""
        if self._store is None:
            url = store_url(self.settings.app)
            adapter = load_adapter("store", url)
            store = cast(
                "EventStore",
                adapter(url, settings=self.settings.store, clock=self.clock, write=self._needs.owns_store),
            )
            if not self._needs.owns_store and store.reach != "network":
                store = FreshStore(store, await self.log())
            self._store = await self._stack.enter_async_context(store)
        return self._store

    async def query(self) -> QueryParts:
        """What answers questions, one for all roles that do."""
        if self._query is None:
            self._query = QueryParts.of(
                log=await self.log(),
                store=await self.store(),
                checks=self.checks,
                clock=self.clock,
                settings=self.settings.query,
            )
        return self._query

    async def identifiers(self) -> IdentifierParts:
        """What makes, resolves and registers names, one for all roles that do."""
        if self._identifiers is None:
            parts = IdentifierParts.of(await self.database(), settings=self.settings.identifiers, clock=self.clock)
            self._stack.push_async_callback(parts.close)
            parts.show(self.metrics)
            self._identifiers = parts
        return self._identifiers

    async def cache(self) -> Circuit:
        """What processes share for a short while. It need not be there: whoever asks goes on without it."""
        if self._cache is None:
            settings = self.settings.cache
            adapter = load_adapter("cache", settings.url)
            cache = cast("Cache", adapter(settings.url, settings=settings, clock=self.clock))
            circuit = Circuit(cache, settings=settings, clock=self.clock)
            await self._stack.enter_async_context(circuit)
            self._cache = circuit
        return self._cache

    async def database(self) -> Database:
        """The database, its schema brought up to date."""
        if self._database is None:
            database = Database(database_url(self.settings), settings=self.settings.db)
            self._stack.push_async_callback(database.close)
            await migrate(database)
            self._database = database
        return self._database

    async def ledger(self) -> Ledger:
        """Where every change and sign-in is written down."""
        if self._ledger is None:
            self._ledger = Ledger(await self.database(), self.clock)
        return self._ledger

    async def auth(self) -> AuthParts:
        """Accounts and everything that proves who asks."""
        if self._auth is None:
            self._auth = open_auth(
                await self.database(),
                settings=self.settings.auth,
                environment=self.settings.app.environment,
                secrets_folder=self.settings.app.data_dir / "secrets",
                clock=self.clock,
                cache=await self.cache(),
                trusted_origins=self.settings.api.cors_origins if self.settings.api.cors_credentials else (),
                witness=(await self.ledger()).record,
            )
        return self._auth


def log_url(app: AppSettings) -> str:
    """Where the log is."""
    return app.log_url or f"sqlite://{app.data_dir.absolute() / 'log'}"


def log_folder(app: AppSettings) -> Path | None:
    """The folder of an embedded log; None for one that lives elsewhere."""
    parts = urlsplit(log_url(app))
    return Path(unquote(parts.path)) if not parts.netloc and parts.path.startswith("/") else None


def store_url(app: AppSettings) -> str:
    """Where the store is."""
    return app.store_url or f"parquet://{app.data_dir.absolute() / 'store'}"


def database_url(settings: Settings) -> str:
    """Where the database is."""
    return settings.db.url or f"sqlite:///{settings.app.data_dir.absolute() / 'weft.db'}"
