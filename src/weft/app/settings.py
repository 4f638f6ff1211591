"""The whole configuration as one tree: a section per room, and `app` for the process itself."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from weft.alerts.settings import AlertsSettings
from weft.api.settings import ApiSettings
from weft.audit.settings import AuditSettings
from weft.auth.settings import AuthSettings
from weft.cache.settings import CacheSettings
from weft.db.settings import DbSettings
from weft.identifiers.settings import IdentifiersSettings
from weft.ingest.settings import IngestSettings
from weft.log.settings import LogSettings
from weft.query.settings import QuerySettings
from weft.store.settings import StoreSettings
from weft.stream.settings import StreamSettings

Environment = Literal["development", "staging", "production"]


class AppSettings(BaseModel):
    """What belongs to the process and to no single room."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="Weft", min_length=1, max_length=64, description="Name shown in the API documentation.")
    version: str | None = Field(default=None, description="Version that /health reports; by default the installed one.")
    environment: Environment = Field(
        default="development", description="'production' and 'staging' refuse missing, short or sample secrets and open doors."
    )
    debug: bool = Field(default=False, description="Write log lines of every level, whatever api.log_level says.")
    data_dir: Path = Field(
        default=Path("weft-data"), description="Folder of everything that is kept: log, store, accounts, secrets."
    )
    services: tuple[str, ...] = Field(
        default=("all",),
        min_length=1,
        description="Roles this process plays: all, or some of ingestion, analytics, alerting, dashboard, storage.",
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 for every network.")
    port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port to listen on; by default 8000, or the role's own for a single role. 0 takes a free one.",
    )
    share_port: bool = Field(
        default=False,
        description="Let other processes that play the same roles listen on the same port; each then also answers on one of "
        "its own on this machine, for probes and scrapers.",
    )
    processes: str | None = Field(
        default=None,
        coerce_numbers_to_str=True,
        description="Run every role in processes of its own under one supervisor: 2 for two that take events in, or "
        "'ingestion=2,storage+dashboard=1'. By default this process plays all its roles itself.",
    )
    ingestion_port: int = Field(default=8001, ge=0, le=65535, description="Port of a process that plays only ingestion.")
    analytics_port: int = Field(default=8002, ge=0, le=65535, description="Port of a process that plays only analytics.")
    alerting_port: int = Field(default=8003, ge=0, le=65535, description="Port of a process that plays only alerting.")
    dashboard_port: int = Field(default=8004, ge=0, le=65535, description="Port of a process that plays only dashboard.")
    storage_port: int = Field(default=8005, ge=0, le=65535, description="Port of a process that plays only storage.")
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="A further listener that serves nothing but /metrics; off by default. Of several supervised processes each "
        "has one, on ports that count up from here.",
    )
    drain_notice_s: float = Field(
        default=0.0,
        ge=0,
        le=300,
        description="Seconds between /ready turning false and the doors closing, for load balancers to notice.",
    )
    drain_timeout_s: float = Field(
        default=20.0, gt=0, le=600, description="Seconds that requests in flight may take to finish when the process stops."
    )
    log_url: str | None = Field(
        default=None, description="Address of the log, such as sqlite:///abs/path; by default in the data folder."
    )
    store_url: str | None = Field(
        default=None, description="Address of the store, such as parquet:///abs/path; by default in the data folder."
    )


class Settings(BaseModel):
    """One section per room. Each room reads its own and nothing else."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    app: AppSettings = AppSettings()
    log: LogSettings = LogSettings()
    store: StoreSettings = StoreSettings()
    cache: CacheSettings = CacheSettings()
    db: DbSettings = DbSettings()
    api: ApiSettings = ApiSettings()
    auth: AuthSettings = AuthSettings()
    audit: AuditSettings = AuditSettings()
    ingest: IngestSettings = IngestSettings()
    query: QuerySettings = QuerySettings()
    stream: StreamSettings = StreamSettings()
    identifiers: IdentifiersSettings = IdentifiersSettings()
    alerts: AlertsSettings = AlertsSettings()
