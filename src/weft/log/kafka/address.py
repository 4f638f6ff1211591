"""The address of a Kafka cluster: `kafka://[user:password@]host:port[,host:port]/?prefix=lab.`"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote

from weft.core.errors import Invalid
from weft.log.kafka.settings import KafkaSettings

_DEFAULT_PORT: Final = 9092
_OPTIONS: Final = ("append_partition", "partitions", "prefix", "replication")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the brokers are and who asks. `settings` are those of the configuration with the options of the address."""

    bootstrap: str
    user: str | None
    password: str | None
    settings: KafkaSettings

    def __str__(self) -> str:
        return f"Kafka at {self.bootstrap}"


def parse_address(url: str, settings: KafkaSettings) -> Address:
    """Take an address apart. Raises Invalid, without repeating the password."""
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    login, _, hosts = place.rstrip("/").rpartition("@")
    user, _, password = login.partition(":")
    if scheme != "kafka" or not hosts or "/" in hosts:
        raise Invalid(f"'{scheme}://{hosts}' is not the address of a Kafka cluster; write kafka://host:port", field="log.url")
    bootstrap = ",".join(host if ":" in host else f"{host}:{_DEFAULT_PORT}" for host in hosts.split(","))
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(options.keys() - set(_OPTIONS))
    if unknown:
        raise Invalid(f"'{unknown[0]}' is not an option of kafka://; there are {', '.join(_OPTIONS)}", field="log.url")
    try:
        merged = KafkaSettings.model_validate({**settings.model_dump(), **options})
    except ValueError as wrong:
        raise Invalid(f"an option of the address of the log is wrong: {wrong}", field="log.url") from wrong
    return Address(bootstrap, unquote(user) or None, unquote(password) or None, merged)
