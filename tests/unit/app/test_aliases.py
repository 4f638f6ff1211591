"""Every documented name of the earlier systems, one by one: what is given, and the field it sets."""

import re
from pathlib import Path

import pytest
import yaml

from weft.app import aliases
from weft.app.config import ConfigurationError, load_configuration
from weft.app.plan import make_plan
from weft.app.settings import Settings
from weft.app.tree import annotation_at, value_at

POSTGRES = "postgresql+asyncpg://streamflow:secret@db:5432/streamflow"
RABBITMQ = "amqp://guest:guest@localhost:5672/"
REDIS = "redis://localhost:6379/0"
LONG = "a-long-secret-of-a-test-that-nobody-guesses"


def field_of(settings: Settings, field: str) -> object:
    value = value_at(settings, tuple(field.split(".")))
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


mark = pytest.mark

VARIABLES = [
    pytest.param("ENVIRONMENT", "staging", "app.environment", "staging", marks=mark.contract("SF-176")),
    pytest.param("DEBUG", "true", "app.debug", True, marks=mark.contract("SF-177")),
    pytest.param("APP_NAME", "StreamFlow", "app.name", "StreamFlow", marks=mark.contract("SF-178")),
    pytest.param("APP_VERSION", "9.9", "app.version", "9.9", marks=mark.contract("SF-179")),
    pytest.param("DATABASE_URL", POSTGRES, "db.url", POSTGRES, marks=mark.contract("SF-180")),
    pytest.param("DATABASE_POOL_SIZE", "3", "db.pool_size", 3, marks=mark.contract("SF-181", "SF-19")),
    pytest.param("DATABASE_MAX_OVERFLOW", "4", "db.max_overflow", 4, marks=mark.contract("SF-182", "SF-19")),
    pytest.param("DATABASE_ECHO", "true", "db.echo", True, marks=mark.contract("SF-183")),
    pytest.param("RABBITMQ_URL", RABBITMQ, "app.log_url", RABBITMQ, marks=mark.contract("SF-184")),
    pytest.param("RABBITMQ_EXCHANGE_EVENTS", "e", "log.rabbitmq.exchange_events", "e", marks=mark.contract("SF-185")),
    pytest.param("RABBITMQ_EXCHANGE_ANALYTICS", "a", "log.rabbitmq.exchange_analytics", "a", marks=mark.contract("SF-186")),
    pytest.param("RABBITMQ_EXCHANGE_ALERTS", "x", "log.rabbitmq.exchange_alerts", "x", marks=mark.contract("SF-187")),
    pytest.param("RABBITMQ_MAX_CONNECTIONS", "20", "log.rabbitmq.max_connections", 20, marks=mark.contract("SF-188", "SF-19")),
    pytest.param("RABBITMQ_HEARTBEAT", "60", "log.rabbitmq.heartbeat_s", 60, marks=mark.contract("SF-189")),
    pytest.param("REDIS_URL", REDIS, "cache.url", REDIS, marks=mark.contract("SF-190")),
    pytest.param("REDIS_MAX_CONNECTIONS", "7", "cache.max_connections", 7, marks=mark.contract("SF-191")),
    pytest.param("JWT_SECRET_KEY", LONG, "auth.secret_key", LONG, marks=mark.contract("SF-192")),
    pytest.param("JWT_ALGORITHM", "HS256", "auth.algorithm", "HS256", marks=mark.contract("SF-193")),
    pytest.param("JWT_EXPIRE_MINUTES", "45", "auth.access_minutes", 45, marks=mark.contract("SF-194")),
    pytest.param("INGESTION_PORT", "9001", "app.ingestion_port", 9001, marks=mark.contract("SF-195")),
    pytest.param("ANALYTICS_PORT", "9002", "app.analytics_port", 9002, marks=mark.contract("SF-196")),
    pytest.param("ALERTING_PORT", "9003", "app.alerting_port", 9003, marks=mark.contract("SF-197")),
    pytest.param("DASHBOARD_PORT", "9004", "app.dashboard_port", 9004, marks=mark.contract("SF-198")),
    pytest.param("STORAGE_PORT", "9005", "app.storage_port", 9005, marks=mark.contract("SF-199")),
    pytest.param("PROMETHEUS_ENABLED", "false", "api.metrics_enabled", False, marks=mark.contract("SF-200")),
    pytest.param("LOG_LEVEL", "warning", "api.log_level", "WARNING", marks=mark.contract("SF-202")),
    pytest.param("LOG_FORMAT", "json", "api.log_format", "json", marks=mark.contract("SF-203")),
    pytest.param("RATE_LIMIT_ENABLED", "false", "api.rate_limit_enabled", False, marks=mark.contract("SF-204")),
    pytest.param(
        "RATE_LIMIT_REQUESTS_PER_MINUTE", "5", "api.rate_limits.events.requests_per_minute", 5, marks=mark.contract("SF-205")
    ),
    pytest.param("RATE_LIMIT_BURST_SIZE", "6", "api.rate_limit_burst_size", 6, marks=mark.contract("SF-206")),
    pytest.param(
        "CORS_ORIGINS", "http://a.test, http://b.test", "api.cors_origins", ("http://a.test", "http://b.test"),
        marks=mark.contract("SF-207"),
    ),
    pytest.param("FASTAPI_SECRET_KEY", LONG, "auth.secret_key", LONG, marks=mark.contract("HC-373")),
    pytest.param(
        "FASTAPI_DATABASE_URL", "sqlite:///./hardware_control.db", "db.url", "sqlite:///./hardware_control.db",
        marks=mark.contract("HC-374"),
    ),
    pytest.param("FASTAPI_REDIS_URL", REDIS, "cache.url", REDIS, marks=mark.contract("HC-375")),
    pytest.param(
        "FASTAPI_BACKEND_CORS_ORIGINS", "https://a.test,https://b.test", "api.cors_origins",
        ("https://a.test", "https://b.test"), marks=mark.contract("HC-377"),
    ),
    pytest.param("FASTAPI_PROJECT_NAME", "Lab", "app.name", "Lab", marks=mark.contract("HC-378")),
    pytest.param("FASTAPI_DEBUG", "true", "app.debug", True, marks=mark.contract("HC-378")),
    pytest.param("FASTAPI_LOG_LEVEL", "error", "api.log_level", "ERROR", marks=mark.contract("HC-378")),
    pytest.param("FASTAPI_ALGORITHM", "HS256", "auth.algorithm", "HS256", marks=mark.contract("HC-378")),
    pytest.param("FASTAPI_ACCESS_TOKEN_EXPIRE_MINUTES", "60", "auth.access_minutes", 60, marks=mark.contract("HC-378")),
    pytest.param("ARK_NAAN", "12345", "identifiers.naan", "12345", marks=mark.contract("SW-variables")),
    pytest.param("ARK_SHOULDER", "x5", "identifiers.shoulder", "x5", marks=mark.contract("SW-variables")),
    pytest.param("DEFAULT_IDENTIFIER_TYPE", "ark", "identifiers.default_scheme", "ark", marks=mark.contract("SW-variables")),
    pytest.param("LOOM_DATABASE_URL", POSTGRES, "db.url", POSTGRES, marks=mark.contract("LM-59")),
    pytest.param(
        "LOOM_KAFKA_BOOTSTRAP_SERVERS", "a:9092, b:9093", "app.log_url", "kafka://a:9092,b:9093", marks=mark.contract("LM-59")
    ),
    pytest.param("LOOM_HOST", "::1", "app.host", "::1", marks=mark.contract("LM-59")),
    pytest.param("LOOM_PORT", "8123", "app.port", 8123, marks=mark.contract("LM-59")),
    pytest.param("LOOM_ENVIRONMENT", "production", "app.environment", "production", marks=mark.contract("LM-59")),
    pytest.param("LOOM_LOG_LEVEL", "warning", "api.log_level", "WARNING", marks=mark.contract("LM-59")),
    pytest.param("LOOM_DEBUG", "true", "app.debug", True, marks=mark.contract("LM-60", "SF-342")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "field", "value"), VARIABLES)
def test_a_variable_of_an_earlier_system_sets_its_field(name: str, text: str, field: str, value: object) -> None:
    loaded = load_configuration(environ={name: text})

    assert field_of(loaded.settings, field) == value
    assert loaded.origin(tuple(field.split("."))).name == name


KEYS = [
    pytest.param("app.name", "StreamFlow", "app.name", "StreamFlow", marks=mark.contract("SF-208")),
    pytest.param("app.version", "0.1.0", "app.version", "0.1.0", marks=mark.contract("SF-209")),
    pytest.param("app.environment", "production", "app.environment", "production", marks=mark.contract("SF-210")),
    pytest.param("app.debug", True, "app.debug", True, marks=mark.contract("SF-211")),
    pytest.param("database.url", POSTGRES, "db.url", POSTGRES, marks=mark.contract("SF-212")),
    pytest.param("database.pool_size", 3, "db.pool_size", 3, marks=mark.contract("SF-213", "SF-19")),
    pytest.param("database.max_overflow", 4, "db.max_overflow", 4, marks=mark.contract("SF-214", "SF-19")),
    pytest.param("database.echo", True, "db.echo", True, marks=mark.contract("SF-215")),
    pytest.param("rabbitmq.url", RABBITMQ, "app.log_url", RABBITMQ, marks=mark.contract("SF-216")),
    pytest.param("rabbitmq.exchanges.events", "e", "log.rabbitmq.exchange_events", "e", marks=mark.contract("SF-217")),
    pytest.param("rabbitmq.exchanges.analytics", "a", "log.rabbitmq.exchange_analytics", "a", marks=mark.contract("SF-218")),
    pytest.param("rabbitmq.exchanges.alerts", "x", "log.rabbitmq.exchange_alerts", "x", marks=mark.contract("SF-219")),
    pytest.param("rabbitmq.max_connections", 20, "log.rabbitmq.max_connections", 20, marks=mark.contract("SF-220", "SF-19")),
    pytest.param("rabbitmq.heartbeat", 60, "log.rabbitmq.heartbeat_s", 60, marks=mark.contract("SF-221")),
    pytest.param("redis.url", REDIS, "cache.url", REDIS, marks=mark.contract("SF-222")),
    pytest.param("redis.max_connections", 7, "cache.max_connections", 7, marks=mark.contract("SF-223")),
    pytest.param("security.jwt.secret_key", LONG, "auth.secret_key", LONG, marks=mark.contract("SF-224")),
    pytest.param("security.jwt.algorithm", "HS256", "auth.algorithm", "HS256", marks=mark.contract("SF-225")),
    pytest.param("security.jwt.expire_minutes", 45, "auth.access_minutes", 45, marks=mark.contract("SF-226")),
    pytest.param("monitoring.prometheus.enabled", False, "api.metrics_enabled", False, marks=mark.contract("SF-228")),
    pytest.param("monitoring.prometheus.port", 8080, "app.metrics_port", 8080, marks=mark.contract("SF-229")),
    pytest.param("monitoring.logging.level", "warning", "api.log_level", "WARNING", marks=mark.contract("SF-232")),
    pytest.param("monitoring.logging.format", "json", "api.log_format", "json", marks=mark.contract("SF-233")),
    pytest.param("rate_limiting.enabled", False, "api.rate_limit_enabled", False, marks=mark.contract("SF-234")),
    pytest.param(
        "rate_limiting.requests_per_minute", 5, "api.rate_limits.events.requests_per_minute", 5, marks=mark.contract("SF-235")
    ),
    pytest.param("rate_limiting.burst_size", 6, "api.rate_limit_burst_size", 6, marks=mark.contract("SF-236")),
]


def file_with(folder: Path, name: str, value: object) -> Path:
    tree: object = value
    for part in reversed(name.split(".")):
        tree = {part: tree}
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return file


@pytest.mark.parametrize(("name", "given", "field", "value"), KEYS)
def test_a_key_of_an_earlier_system_sets_its_field(name: str, given: object, field: str, value: object, tmp_path: Path) -> None:
    file = file_with(tmp_path, name, given)

    loaded = load_configuration(environ={}, file=file)

    assert field_of(loaded.settings, field) == value
    assert loaded.origin(tuple(field.split("."))).name == f"{name} in {file}"


def test_no_name_is_without_a_test_of_its_own() -> None:
    assert {str(entry.values[0]) for entry in VARIABLES} == set(aliases.ENVIRONMENT)
    assert {str(entry.values[0]) for entry in KEYS} >= set(aliases.YAML)


@pytest.mark.parametrize("table", [aliases.ENVIRONMENT, aliases.YAML])
def test_every_alias_stands_for_a_field_that_exists(table: dict[str, aliases.Alias]) -> None:
    paths = [path for alias in table.values() for path in (alias.path, *(further.path for further in alias.implies))]

    assert [path for path in paths if annotation_at(path) is None] == []


def groups() -> list[tuple[str, str]]:
    """Two names for each field that has several."""
    names: dict[tuple[str, ...], list[str]] = {}
    for name, alias in aliases.ENVIRONMENT.items():
        names.setdefault(alias.path, []).append(name)
    return [(several[0], other) for several in names.values() for other in several[1:]]


@pytest.mark.contract("SF-D8", "SF-D9")
@pytest.mark.parametrize(("one", "other"), groups())
def test_two_names_that_disagree_stop_the_start_naming_both(one: str, other: str) -> None:
    given = {entry.values[0]: str(entry.values[1]) for entry in VARIABLES}

    with pytest.raises(ConfigurationError) as refused:
        load_configuration(environ={one: given[one], other: f"{given[one]}x"})

    assert any(one in problem and other in problem and "disagree" in problem for problem in refused.value.problems)


@pytest.mark.contract("LM-59", "SF-184")
def test_a_log_on_two_brokers_at_once_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"LOOM_KAFKA_BOOTSTRAP_SERVERS and RABBITMQ_URL are two"):
        load_configuration(environ={"RABBITMQ_URL": RABBITMQ, "LOOM_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092"})


def test_an_empty_variable_is_one_that_nobody_set(tmp_path: Path) -> None:
    file = file_with(tmp_path, "redis.url", REDIS)
    environ = dict.fromkeys(aliases.ENVIRONMENT, "")

    assert load_configuration(environ=environ, file=file).settings.cache.url == REDIS


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("localhost:9092", "kafka://localhost:9092"),
        ("PLAINTEXT://a:9092,PLAINTEXT://b:9092", "kafka://a:9092,b:9092"),
        ("kafka://a:9092/?prefix=lab.", "kafka://a:9092/?prefix=lab."),
    ],
)
def test_bootstrap_servers_become_an_address(given: str, url: str) -> None:
    settings = load_configuration(environ={"LOOM_KAFKA_BOOTSTRAP_SERVERS": given}).settings

    assert settings.app.log_url == url


# An address of PostgreSQL held accounts and events alike.


@pytest.mark.contract("SF-180", "SF-212", "LM-59", "SF-5")
@pytest.mark.parametrize("name", ["DATABASE_URL", "LOOM_DATABASE_URL"])
def test_a_postgresql_database_keeps_accounts_and_events(name: str, tmp_path: Path) -> None:
    loaded = load_configuration(environ={name: POSTGRES})

    assert (loaded.settings.db.url, loaded.settings.app.store_url) == (POSTGRES, POSTGRES)
    assert loaded.origin(("app", "store_url")).name == name
    by_file = load_configuration(environ={}, file=file_with(tmp_path, "database.url", POSTGRES)).settings
    assert (by_file.db.url, by_file.app.store_url) == (POSTGRES, POSTGRES)


@pytest.mark.contract("SF-181", "SF-19")
def test_the_pool_of_the_database_is_the_pool_of_the_store() -> None:
    settings = load_configuration(environ={"DATABASE_POOL_SIZE": "12"}).settings

    assert (settings.db.pool_size, settings.store.postgres.pool_size) == (12, 12)
    assert load_configuration(environ={"DATABASE_POOL_SIZE": "500"}).settings.store.postgres.pool_size == 200


@pytest.mark.contract("HC-374")
def test_a_file_of_sqlite_keeps_accounts_alone_and_so_does_the_database_of_the_hardware_service() -> None:
    assert load_configuration(environ={"DATABASE_URL": "sqlite:////x.db"}).settings.app.store_url is None
    assert load_configuration(environ={"FASTAPI_DATABASE_URL": POSTGRES}).settings.app.store_url is None


def test_a_store_that_is_named_apart_wins_wherever_it_is_named(tmp_path: Path) -> None:
    elsewhere = "parquet:///somewhere/store"
    file = file_with(tmp_path, "app.store_url", elsewhere)

    by_variable = load_configuration(environ={"DATABASE_URL": POSTGRES, "WEFT_APP__STORE_URL": elsewhere}).settings
    by_file = load_configuration(environ={"DATABASE_URL": POSTGRES}, file=file).settings
    by_flag = load_configuration(environ={"DATABASE_URL": POSTGRES}, flags={"app.store_url": elsewhere}).settings

    assert {by_variable.app.store_url, by_file.app.store_url, by_flag.app.store_url} == {elsewhere}
    assert by_variable.db.url == by_file.db.url == by_flag.db.url == POSTGRES


def test_an_address_that_was_overruled_has_no_say_in_the_store(tmp_path: Path) -> None:
    file = file_with(tmp_path, "database.url", POSTGRES)

    settings = load_configuration(environ={"DATABASE_URL": "sqlite:////x.db"}, file=file).settings

    assert (settings.db.url, settings.app.store_url) == ("sqlite:////x.db", None)


STREAMFLOWS_ENVIRONMENT = {
    "ENVIRONMENT": "production", "DEBUG": "false", "APP_NAME": "StreamFlow", "APP_VERSION": "0.1.0",
    "DATABASE_URL": POSTGRES, "DATABASE_POOL_SIZE": "20", "DATABASE_MAX_OVERFLOW": "30", "RABBITMQ_URL": RABBITMQ,
    "RABBITMQ_EXCHANGE_EVENTS": "events", "RABBITMQ_EXCHANGE_ANALYTICS": "analytics", "RABBITMQ_EXCHANGE_ALERTS": "alerts",
    "RABBITMQ_MAX_CONNECTIONS": "10", "RABBITMQ_HEARTBEAT": "600", "REDIS_URL": REDIS, "REDIS_MAX_CONNECTIONS": "50",
    "JWT_SECRET_KEY": LONG, "JWT_ALGORITHM": "HS256", "JWT_EXPIRE_MINUTES": "30", "INGESTION_PORT": "8001",
    "ANALYTICS_PORT": "8002", "ALERTING_PORT": "8003", "DASHBOARD_PORT": "8004", "STORAGE_PORT": "8005",
    "PROMETHEUS_ENABLED": "true", "JAEGER_ENABLED": "true", "LOG_LEVEL": "INFO", "LOG_FORMAT": "json",
    "RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_REQUESTS_PER_MINUTE": "100", "RATE_LIMIT_BURST_SIZE": "10",
    "CORS_ORIGINS": "http://localhost:3000,http://localhost:8080",
}  # fmt: skip


@pytest.mark.contract("SF-196", "SF-197", "SF-201", "SF-D9")
def test_streamflows_whole_documented_environment_starts() -> None:
    settings = load_configuration(environ=STREAMFLOWS_ENVIRONMENT).settings

    assert (settings.app.store_url, settings.app.log_url, settings.cache.url) == (POSTGRES, RABBITMQ, REDIS)


@pytest.mark.contract("SF-227", "SF-230", "SF-231")
@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("security.bcrypt_rounds", 12, "Argon2id"),
        ("monitoring.jaeger.enabled", True, "api.otlp_endpoint"),
        ("monitoring.jaeger.endpoint", "http://jaeger:14268/api/traces", "api.otlp_endpoint"),
    ],
)
def test_a_key_that_stands_for_nothing_here_says_what_does(name: str, value: object, advice: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=advice):
        load_configuration(environ={}, file=file_with(tmp_path, name, value))


EXAMPLE = Path(__file__).parents[3] / ".env.example"
LINE = re.compile(r"^(#?)([A-Z][A-Z0-9_]*)=(\S*)$", re.MULTILINE)


@pytest.mark.contract("HC-378", "HC-366")
def test_weft_starts_with_the_example_file_as_shipped_and_reads_every_variable_of_it() -> None:
    lines = LINE.findall(EXAMPLE.read_text(encoding="utf-8"))
    shipped = {name: text for hidden, name, text in lines if not hidden}
    assert len(shipped) > 5

    loaded = load_configuration(environ=shipped)
    read = {origin.name for origin in loaded.origins.values()}
    one_by_one = {name: load_configuration(environ={name: text}).origins for _, name, text in lines if text}

    assert make_plan(loaded.settings).port == 8000
    assert read == set(shipped)
    assert [name for name, origins in one_by_one.items() if not origins] == [], "nobody reads these"
    documented = {str(entry.values[0]) for entry in VARIABLES if not str(entry.values[0]).startswith(("FASTAPI", "LOOM"))}
    assert documented <= {name for _, name, _ in lines}
