"""Settings of alerts."""

from pydantic import BaseModel, ConfigDict


class AlertsSettings(BaseModel):
    """What the alerts room can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)
