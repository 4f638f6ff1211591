"""Line: whether the brokers answer, so that nobody waits for those that are known to be away."""

import time
from typing import Final

import structlog

from weft.log.kafka.client import Client, KafkaException, Producer

logger = structlog.get_logger(__name__)

_PROBE_TIMEOUT_S: Final = 1.0


class Line:
    """The line to the cluster. A doubt is looked into before anybody is refused; once down, it is looked at again and again."""

    def __init__(self, client: Client) -> None:
        self._settings = client.address.settings
        self._broker = client.address.bootstrap
        self._doubt: str | None = None
        self._probe_at_s = 0.0
        self.refusal: str | None = None
        """Why appends are refused at the moment, or None."""

    def doubt(self, reason: str) -> None:
        """Something failed that may mean that the brokers are away."""
        self._doubt, self._probe_at_s = reason, 0.0

    def cut(self, reason: str) -> None:
        """The brokers are away."""
        if self.refusal is None:
            logger.warning("log_broker_away", reason=reason)
        self.refusal = reason

    def look(self, producer: Producer) -> None:
        """Ask the brokers where that is due. Blocks for a second at most: for the listening thread."""
        if (self.refusal is None and self._doubt is None) or time.monotonic() < self._probe_at_s:
            return
        doubt, self._doubt = self._doubt, None
        try:
            producer.list_topics(timeout=min(self._settings.request_timeout_s, _PROBE_TIMEOUT_S))
        except KafkaException:
            if doubt is not None:
                self.cut(doubt)
            self._probe_at_s = time.monotonic() + self._settings.probe_interval_s
        else:
            if self.refusal is not None:
                logger.info("log_broker_back", broker=self._broker)
            self.refusal = None
