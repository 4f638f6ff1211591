"""Names from earlier systems for fields of the same tree: one table for environment variables, one for YAML keys.

A value given by such a name and another one by Weft's own stops the start, naming both, unless they agree. An address of
PostgreSQL meant one database for accounts and events alike, so it implies where the store is; a store that is named apart
wins over what is only implied.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

Path = tuple[str, ...]
MOST_QUESTIONS: Final = 200


@dataclass(frozen=True, slots=True)
class Alias:
    """The field an earlier name stands for, and how its value becomes the field's (minutes to seconds, say).

    `implies` are further fields it had a say in; they hold where nobody says otherwise. A conversion to None implies nothing.
    """

    path: Path
    convert: Callable[[Any], Any] | None = None
    implies: "tuple[Alias, ...]" = ()

    def value_of(self, given: Any) -> Any:
        """The field's value for what was given."""
        return self.convert(given) if self.convert is not None else given


def _field(path: str, convert: Callable[[Any], Any] | None = None, *implies: Alias) -> Alias:
    return Alias(tuple(path.split(".")), convert, implies)


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _if_postgres(value: Any) -> Any:
    """The address of a database that keeps events too; None for a file of SQLite, which keeps accounts alone."""
    return value if isinstance(value, str) and value.startswith("postgres") else None


def _questions(value: Any) -> Any:
    """As many connections for questions, as far as the store goes."""
    number = str(value)
    return min(int(number), MOST_QUESTIONS) if number.isdecimal() and int(number) else None


def _kafka(value: Any) -> Any:
    """`host:port,host:port` as an address."""
    if not isinstance(value, str) or "://" not in value.replace("PLAINTEXT://", ""):
        hosts = [host.strip().removeprefix("PLAINTEXT://") for host in str(value).split(",")]
        return f"kafka://{','.join(host for host in hosts if host)}"
    return value


_DATABASE: Final = _field("db.url", None, _field("app.store_url", _if_postgres))
_POOL_SIZE: Final = _field("db.pool_size", None, _field("store.postgres.pool_size", _questions))
_REQUESTS: Final = "api.rate_limits.events.requests_per_minute"

ENVIRONMENT: Final[dict[str, Alias]] = {
    "ENVIRONMENT": _field("app.environment"),
    "DEBUG": _field("app.debug"),
    "APP_NAME": _field("app.name"),
    "APP_VERSION": _field("app.version"),
    "INGESTION_PORT": _field("app.ingestion_port"),
    "ANALYTICS_PORT": _field("app.analytics_port"),
    "ALERTING_PORT": _field("app.alerting_port"),
    "DASHBOARD_PORT": _field("app.dashboard_port"),
    "STORAGE_PORT": _field("app.storage_port"),
    "DATABASE_URL": _DATABASE,
    "DATABASE_POOL_SIZE": _POOL_SIZE,
    "DATABASE_MAX_OVERFLOW": _field("db.max_overflow"),
    "DATABASE_ECHO": _field("db.echo"),
    "RABBITMQ_URL": _field("app.log_url"),
    "RABBITMQ_EXCHANGE_EVENTS": _field("log.rabbitmq.exchange_events"),
    "RABBITMQ_EXCHANGE_ANALYTICS": _field("log.rabbitmq.exchange_analytics"),
    "RABBITMQ_EXCHANGE_ALERTS": _field("log.rabbitmq.exchange_alerts"),
    "RABBITMQ_MAX_CONNECTIONS": _field("log.rabbitmq.max_connections"),
    "RABBITMQ_HEARTBEAT": _field("log.rabbitmq.heartbeat_s"),
    "REDIS_URL": _field("cache.url"),
    "REDIS_MAX_CONNECTIONS": _field("cache.max_connections"),
    "JWT_SECRET_KEY": _field("auth.secret_key"),
    "JWT_ALGORITHM": _field("auth.algorithm"),
    "JWT_EXPIRE_MINUTES": _field("auth.access_minutes"),
    "PROMETHEUS_ENABLED": _field("api.metrics_enabled"),
    "LOG_LEVEL": _field("api.log_level", _upper),
    "LOG_FORMAT": _field("api.log_format"),
    "RATE_LIMIT_ENABLED": _field("api.rate_limit_enabled"),
    "RATE_LIMIT_REQUESTS_PER_MINUTE": _field(_REQUESTS),
    "RATE_LIMIT_BURST_SIZE": _field("api.rate_limit_burst_size"),
    "CORS_ORIGINS": _field("api.cors_origins"),
    "FASTAPI_PROJECT_NAME": _field("app.name"),
    "FASTAPI_DEBUG": _field("app.debug"),
    "FASTAPI_LOG_LEVEL": _field("api.log_level", _upper),
    "FASTAPI_SECRET_KEY": _field("auth.secret_key"),
    "FASTAPI_ALGORITHM": _field("auth.algorithm"),
    "FASTAPI_ACCESS_TOKEN_EXPIRE_MINUTES": _field("auth.access_minutes"),
    "FASTAPI_DATABASE_URL": _field("db.url"),
    "FASTAPI_REDIS_URL": _field("cache.url"),
    "FASTAPI_BACKEND_CORS_ORIGINS": _field("api.cors_origins"),
    "ARK_NAAN": _field("identifiers.naan"),
    "ARK_SHOULDER": _field("identifiers.shoulder"),
    "DEFAULT_IDENTIFIER_TYPE": _field("identifiers.default_scheme"),
    "LOOM_DATABASE_URL": _DATABASE,
    "LOOM_KAFKA_BOOTSTRAP_SERVERS": _field("app.log_url", _kafka),
    "LOOM_HOST": _field("app.host"),
    "LOOM_PORT": _field("app.port"),
    "LOOM_ENVIRONMENT": _field("app.environment"),
    "LOOM_LOG_LEVEL": _field("api.log_level", _upper),
    "LOOM_DEBUG": _field("app.debug"),
}

YAML: Final[dict[str, Alias]] = {
    "database.url": _DATABASE,
    "database.pool_size": _POOL_SIZE,
    "database.max_overflow": _field("db.max_overflow"),
    "database.echo": _field("db.echo"),
    "rabbitmq.url": _field("app.log_url"),
    "rabbitmq.exchanges.events": _field("log.rabbitmq.exchange_events"),
    "rabbitmq.exchanges.analytics": _field("log.rabbitmq.exchange_analytics"),
    "rabbitmq.exchanges.alerts": _field("log.rabbitmq.exchange_alerts"),
    "rabbitmq.max_connections": _field("log.rabbitmq.max_connections"),
    "rabbitmq.heartbeat": _field("log.rabbitmq.heartbeat_s"),
    "redis.url": _field("cache.url"),
    "redis.max_connections": _field("cache.max_connections"),
    "security.jwt.secret_key": _field("auth.secret_key"),
    "security.jwt.algorithm": _field("auth.algorithm"),
    "security.jwt.expire_minutes": _field("auth.access_minutes"),
    "monitoring.prometheus.enabled": _field("api.metrics_enabled"),
    "monitoring.prometheus.port": _field("app.metrics_port"),
    "monitoring.logging.level": _field("api.log_level", _upper),
    "monitoring.logging.format": _field("api.log_format"),
    "rate_limiting.enabled": _field("api.rate_limit_enabled"),
    "rate_limiting.requests_per_minute": _field(_REQUESTS),
    "rate_limiting.burst_size": _field("api.rate_limit_burst_size"),
}

NOT_HERE: Final[dict[str, str]] = {
    "security.bcrypt_rounds": "passwords are hashed with Argon2id, which has no such number; remove it",
    "monitoring.jaeger": "traces go to an OpenTelemetry collector; set api.otlp_endpoint instead",
}
"""Keys of earlier systems that stand for nothing here, and what to do about each."""
