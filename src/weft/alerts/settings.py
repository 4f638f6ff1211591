"""Settings of alerts."""

from pydantic import BaseModel, ConfigDict

from weft.alerts.notify.settings import NotifySettings


class AlertsSettings(BaseModel):
    """What the alerts room can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    notify: NotifySettings = NotifySettings()
