"""Identity: which alert is which, from what it is about alone, so that doing work again gives the same names."""

from collections.abc import Mapping
from hashlib import sha256
from uuid import UUID

TOPIC = "alerts"
"""Where every transition of an alert stands as an event."""


def fingerprint_of(rule_id: str, key: Mapping[str, str | None]) -> str:
    """32 hexadecimal digits for one rule and one key, the same for ever."""
    values = "\x1f".join(f"{name}={_text(value)}" for name, value in sorted(key.items()))
    return sha256(f"{rule_id}\x1e{values}".encode()).hexdigest()[:32]


def alert_id_of(fingerprint: str, episode: int) -> str:
    """The id of one episode, from pending to its end."""
    return str(UUID(sha256(f"{fingerprint}|{episode}".encode()).hexdigest()[:32]))


def event_id_of(fingerprint: str, number: int) -> str:
    """The id of the event that tells of one transition."""
    return sha256(f"{fingerprint}|{number}|event".encode()).hexdigest()[:32]


def key_text(key: Mapping[str, str | None]) -> str:
    """`pump-1/hall 3`: the values of a key, for people and as a subject."""
    return "/".join("(none)" if value is None else value for value in key.values())


def _text(value: str | None) -> str:
    return "\x00" if value is None else value
