"""Settings of the database."""

from pydantic import BaseModel, ConfigDict, Field


class DbSettings(BaseModel):
    """Where accounts, sessions and keys are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = Field(
        default=None,
        description="Database address: `sqlite:////abs/path/weft.db` or `postgresql://user:password@host/name`. "
        "Empty means `weft.db` in the data folder.",
    )
    pool_size: int = Field(
        default=20, ge=1, le=1000, description="Connections kept open (connections). SQLite keeps at most 5."
    )
    max_overflow: int = Field(
        default=30, ge=0, le=1000, description="Connections beyond the pool under load, PostgreSQL only (connections)."
    )
    echo: bool = Field(default=False, description="Log every SQL statement. Shows values; never in production.")
    connect_timeout_s: float = Field(
        default=5.0, gt=0, le=600, description="How long a connection to PostgreSQL may take to be made (seconds)."
    )
    answer_timeout_s: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="How long PostgreSQL may take to answer one statement before it counts as away (seconds).",
    )
    busy_timeout_s: float = Field(
        default=30.0, gt=0, le=600, description="How long to wait for another writer or a free connection (seconds)."
    )
