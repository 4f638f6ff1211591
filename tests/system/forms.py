"""The forms in which one and the same deployment stands: on embedded parts, or on servers that machines share."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import pytest

from tests.services.kafka_server import KafkaServer
from tests.services.postgres import PostgresServer
from tests.services.rabbitmq_server import RabbitmqServer
from tests.services.redis import RedisServer
from tests.system.deployment import Deployment

EMBEDDED: Final = ("together", "apart")
NETWORKED: Final = ("kafka", "rabbitmq")

Environment = dict[str, str]


def deploy(request: pytest.FixtureRequest, folder: Path, form: str) -> Deployment:
    """A deployment of a form, not started yet. Starts the servers it stands on where they do not run yet."""
    if form in EMBEDDED:
        return Deployment(folder, form)
    postgres = cast("PostgresServer", request.getfixturevalue("postgres_server"))
    redis = cast("RedisServer", request.getfixturevalue("redis_server"))
    log = LOGS[form](request)
    return Deployment(folder, "apart", {**log, **on_postgres(postgres), **on_redis(redis.url)}, is_networked=True)


def on_postgres(server: PostgresServer, *, port: int | None = None) -> Environment:
    """Store and accounts in new databases of a server, through another port where a proxy stands before it."""
    databases = [server.create_database().rpartition("/")[2] for _ in range(2)]
    store, accounts = (server.url_of(name, port=port) for name in databases)
    return {"WEFT_APP__STORE_URL": store, "WEFT_DB__URL": accounts}


def on_redis(url: str) -> Environment:
    """The cache, under a prefix of its own."""
    return {"WEFT_CACHE__URL": url, "WEFT_CACHE__PREFIX": f"{_unique()}:"}


def on_kafka(url: str) -> Environment:
    """The log, under a prefix of its own."""
    return {"WEFT_APP__LOG_URL": url, "WEFT_LOG__KAFKA__PREFIX": f"{_unique()}."}


def on_rabbitmq(url: str) -> Environment:
    """The log, on a virtual host of its own."""
    return {"WEFT_APP__LOG_URL": url}


def _kafka(request: pytest.FixtureRequest) -> Environment:
    return on_kafka(cast("KafkaServer", request.getfixturevalue("kafka_server")).url)


def _rabbitmq(request: pytest.FixtureRequest) -> Environment:
    server = cast("RabbitmqServer", request.getfixturevalue("rabbitmq_server"))
    return on_rabbitmq(server.url_of(server.create_vhost()))


LOGS: Final[dict[str, Callable[[pytest.FixtureRequest], Environment]]] = {"kafka": _kafka, "rabbitmq": _rabbitmq}


def _unique() -> str:
    return f"t{secrets.token_hex(4)}"


def shortly_in(*forms: str, fixture: str = "deployment") -> pytest.MarkDecorator:
    """Run a scenario in these forms always, and in the others in the long loops: its promise is then proven, at a price that
    a run of all tests can pay."""
    every = [form if form in forms else pytest.param(form, marks=pytest.mark.soak) for form in (*EMBEDDED, *NETWORKED)]
    return pytest.mark.parametrize(fixture, every, indirect=True)
