"""Names from earlier systems for fields of the same tree: one table for environment variables, one for YAML keys.

A value given by such a name and another one by Weft's own stops the start, naming both, unless they agree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alias:
    """The field an earlier name stands for, and how its value becomes the field's (minutes to seconds, say)."""

    path: Path
    convert: Callable[[Any], Any] | None = None


def _field(path: str, convert: Callable[[Any], Any] | None = None) -> Alias:
    return Alias(tuple(path.split(".")), convert)


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


ENVIRONMENT: Final[dict[str, Alias]] = {
    "ENVIRONMENT": _field("app.environment"),
    "DEBUG": _field("app.debug"),
    "APP_NAME": _field("app.name"),
    "APP_VERSION": _field("app.version"),
    "INGESTION_PORT": _field("app.ingestion_port"),
    "DASHBOARD_PORT": _field("app.dashboard_port"),
    "STORAGE_PORT": _field("app.storage_port"),
    "DATABASE_URL": _field("db.url"),
    "DATABASE_POOL_SIZE": _field("db.pool_size"),
    "DATABASE_MAX_OVERFLOW": _field("db.max_overflow"),
    "DATABASE_ECHO": _field("db.echo"),
    "JWT_SECRET_KEY": _field("auth.secret_key"),
    "FASTAPI_SECRET_KEY": _field("auth.secret_key"),
    "JWT_ALGORITHM": _field("auth.algorithm"),
    "JWT_EXPIRE_MINUTES": _field("auth.access_minutes"),
    "FASTAPI_ACCESS_TOKEN_EXPIRE_MINUTES": _field("auth.access_minutes"),
    "PROMETHEUS_ENABLED": _field("api.metrics_enabled"),
    "LOG_LEVEL": _field("api.log_level", _upper),
    "LOG_FORMAT": _field("api.log_format"),
    "RATE_LIMIT_ENABLED": _field("api.rate_limit_enabled"),
    "RATE_LIMIT_REQUESTS_PER_MINUTE": _field("api.rate_limits.events.requests_per_minute"),
    "RATE_LIMIT_BURST_SIZE": _field("api.rate_limit_burst_size"),
    "CORS_ORIGINS": _field("api.cors_origins"),
    "FASTAPI_DATABASE_URL": _field("db.url"),
    "FASTAPI_BACKEND_CORS_ORIGINS": _field("api.cors_origins"),
    "LOOM_DATABASE_URL": _field("db.url"),
    "LOOM_HOST": _field("app.host"),
    "LOOM_PORT": _field("app.port"),
    "LOOM_ENVIRONMENT": _field("app.environment"),
    "LOOM_LOG_LEVEL": _field("api.log_level", _upper),
    "LOOM_DEBUG": _field("app.debug"),
}

YAML: Final[dict[str, Alias]] = {
    "database.url": _field("db.url"),
    "database.pool_size": _field("db.pool_size"),
    "database.max_overflow": _field("db.max_overflow"),
    "database.echo": _field("db.echo"),
    "security.jwt.secret_key": _field("auth.secret_key"),
    "security.jwt.algorithm": _field("auth.algorithm"),
    "security.jwt.expire_minutes": _field("auth.access_minutes"),
    "monitoring.prometheus.enabled": _field("api.metrics_enabled"),
    "monitoring.prometheus.port": _field("app.metrics_port"),
    "monitoring.logging.level": _field("api.log_level", _upper),
    "monitoring.logging.format": _field("api.log_format"),
    "rate_limiting.enabled": _field("api.rate_limit_enabled"),
    "rate_limiting.requests_per_minute": _field("api.rate_limits.events.requests_per_minute"),
    "rate_limiting.burst_size": _field("api.rate_limit_burst_size"),
}

NOT_HERE: Final[dict[str, str]] = {
    "rabbitmq": "this version keeps its own log and speaks to no RabbitMQ; remove the section",
    "redis": "this version needs no Redis; remove the section",
    "security.bcrypt_rounds": "passwords are hashed with Argon2id, which has no such number; remove it",
    "monitoring.jaeger": "traces go to an OpenTelemetry collector; set api.otlp_endpoint instead",
}
"""Keys of earlier systems that stand for nothing here, and what to do about each."""
