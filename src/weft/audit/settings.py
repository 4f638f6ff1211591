"""Settings of the ledger."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class AuditSettings(BaseModel):
    """With which key the ledger is signed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key_file: Path | None = Field(
        default=None,
        description="File with the Ed25519 private key (PEM) that signs the root of each day, for mounted secrets. "
        "Empty: made in the data folder.",
    )
