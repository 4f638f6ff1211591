"""Settings of continuous queries."""

from pydantic import BaseModel, ConfigDict


class StreamSettings(BaseModel):
    """What the stream room can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)
