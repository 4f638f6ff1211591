"""The configuration: which name wins, what is refused, and how it is said."""

from pathlib import Path
from typing import Any

import pytest

from weft.app.config import ConfigurationError, load_configuration
from weft.app.tree import description_of, fields
from weft.core.errors import NotFound


def write(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(**arguments: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        load_configuration(**{"environ": {}, **arguments})
    return refused.value.problems


@pytest.mark.contract("SF-D9", "SF-176")
def test_flags_win_over_the_environment_over_the_file_over_defaults(tmp_path: Path) -> None:
    file = write(tmp_path, "app: {host: from-file, port: 1, environment: staging}")
    environ = {"WEFT_APP__HOST": "from-env", "WEFT_APP__PORT": "2"}

    loaded = load_configuration(flags={"app.host": "from-flag", "app.port": None}, environ=environ, file=file)

    assert (loaded.settings.app.host, loaded.settings.app.port) == ("from-flag", 2)
    assert loaded.settings.app.environment == "staging"
    assert loaded.settings.app.name == "Weft"
    assert loaded.origin(("app", "host")).name == "--host"
    assert loaded.origin(("app", "port")).name == "WEFT_APP__PORT"
    assert loaded.origin(("app", "environment")).name == f"app.environment in {file}"
    assert loaded.origin(("app", "name")).kind == "default"


def test_config_yaml_of_the_working_directory_is_read_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "app: {host: here}")
    (tmp_path / "other.yaml").write_text("app: {host: there}", encoding="utf-8")

    assert load_configuration(environ={}).settings.app.host == "here"
    assert load_configuration(environ={}, file=Path("other.yaml")).settings.app.host == "there"
    assert load_configuration(environ={"WEFT_CONFIG": "other.yaml"}).settings.app.host == "there"


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"missing\.yaml"):
        load_configuration(environ={}, file=tmp_path / "missing.yaml")


@pytest.mark.contract("SF-D10", "SF-237")
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("app: {hots: x}", "app.hots"),
        ("nonsense: 1", "nonsense"),
        ("api: {rate_limits: {events: {burst: 1}}}", "api.rate_limits.events.burst"),
        ("monitoring: {prometheus: {prot: 1}}", "monitoring.prometheus.prot"),
        ("rabbitmq: {exchange: x}", "rabbitmq.exchange"),
    ],
)
def test_an_unknown_key_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    (problem,) = problems(file=write(tmp_path, text))

    assert problem.startswith(f"{named} in {tmp_path / 'config.yaml'} is not a setting")


def test_a_misspelt_variable_is_refused_with_the_right_name() -> None:
    assert problems(environ={"WEFT_APP__PROT": "1"}) == ["WEFT_APP__PROT is not a setting; did you mean WEFT_APP__PORT?"]


@pytest.mark.parametrize("text", ["app: 5", "api: {rate_limits: [1]}", "monitoring: {prometheus: on}"])
def test_a_value_where_a_section_belongs_is_refused(tmp_path: Path, text: str) -> None:
    (problem,) = problems(file=write(tmp_path, text), environ={"WEFT_APP__PORT": "1"})

    assert "is a section" in problem


def test_a_section_may_be_given_as_json_and_single_fields_beside_it() -> None:
    environ = {
        "WEFT_API__RATE_LIMITS": '{"events": {"requests_per_minute": 5}}',
        "WEFT_API__RATE_LIMITS__DASHBOARD__REQUESTS_PER_MINUTE": "6",
    }

    loaded = load_configuration(environ=environ)

    limits = loaded.settings.api.rate_limits
    assert (limits["events"].requests_per_minute, limits["dashboard"].requests_per_minute) == (5, 6)
    (problem,) = problems(environ={"WEFT_API__RATE_LIMITS": "5"})
    assert problem == "WEFT_API__RATE_LIMITS is a section; it holds settings of its own, not a value"


def test_variables_of_the_command_line_are_no_settings() -> None:
    load_configuration(environ={"WEFT_TOKEN": "x", "WEFT_URL": "y"})


def test_every_problem_is_said_at_once_and_names_where_it_is(tmp_path: Path) -> None:
    file = write(tmp_path, "db: {pool_size: many}\nwrong: 1\n")

    found = problems(file=file, environ={"WEFT_APP__PORT": "99999", "WEFT_LOG__NOTHING": "1"})

    assert len(found) == 4
    for name in ("db.pool_size in", "wrong in", "WEFT_APP__PORT: '99999'", "WEFT_LOG__NOTHING"):
        assert any(problem.startswith(name) for problem in found), name


def test_a_bad_secret_is_never_repeated() -> None:
    (problem,) = problems(environ={"WEFT_AUTH__ENCRYPTION_KEYS": '{"a": "hunter2"}'})
    assert "hunter2" not in problem
    assert "WEFT_AUTH__ENCRYPTION_KEYS" in problem


@pytest.mark.contract("SF-207")
def test_lists_are_written_with_commas_or_as_json() -> None:
    for text in ("http://a.test,http://b.test", '["http://a.test", "http://b.test"]', " http://a.test , http://b.test "):
        loaded = load_configuration(environ={"CORS_ORIGINS": text})
        assert loaded.settings.api.cors_origins == ("http://a.test", "http://b.test")


def test_an_empty_variable_means_none_where_none_is_allowed() -> None:
    assert load_configuration(environ={"WEFT_LOG__RETENTION_AGE_S": ""}).settings.log.retention_age_s is None


def test_one_entry_of_a_named_section_leaves_the_others_alone(tmp_path: Path) -> None:
    loaded = load_configuration(
        environ={"RATE_LIMIT_REQUESTS_PER_MINUTE": "7"}, file=write(tmp_path, "api: {log_level: DEBUG}")
    )

    limits = loaded.settings.api.rate_limits
    assert limits["events"].requests_per_minute == 7
    assert limits["events"].per == ("ip", "user")
    assert limits["dashboard"].requests_per_minute == 200


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ENVIRONMENT", "moon"), ("DEBUG", "perhaps"), ("DATABASE_POOL_SIZE", "0"), ("JWT_EXPIRE_MINUTES", "soon"),
        ("JWT_ALGORITHM", "none"), ("INGESTION_PORT", "70000"), ("LOG_LEVEL", "LOUD"), ("LOG_FORMAT", "prose"),
        ("RATE_LIMIT_REQUESTS_PER_MINUTE", "-1"), ("CORS_ORIGINS", "nonsense"), ("PROMETHEUS_ENABLED", "2"),
    ],
)  # fmt: skip
def test_a_bad_value_stops_the_start_and_names_the_variable(name: str, text: str) -> None:
    (problem,) = problems(environ={name: text})

    assert problem.startswith(f"{name}: ")


STREAMFLOWS_FILE = """
app: {name: StreamFlow, version: 0.1.0, environment: development, debug: false}
database: {url: "sqlite:////x.db", pool_size: 3, max_overflow: 4, echo: true}
security: {jwt: {secret_key: a-long-secret-of-a-test, algorithm: HS256, expire_minutes: 45}}
monitoring: {prometheus: {enabled: false, port: 8080}, logging: {level: WARNING, format: json}}
rate_limiting: {enabled: false, requests_per_minute: 5, burst_size: 6}
"""


@pytest.mark.contract(
    "SF-208", "SF-209", "SF-210", "SF-211", "SF-212", "SF-213", "SF-214", "SF-215", "SF-224", "SF-225", "SF-226", "SF-228",
    "SF-229", "SF-232", "SF-233", "SF-234", "SF-235", "SF-236",
)  # fmt: skip
def test_streamflows_keys_set_the_same_fields_and_variables_win_over_them(tmp_path: Path) -> None:
    file = write(tmp_path, STREAMFLOWS_FILE)

    settings = load_configuration(environ={}, file=file).settings

    assert (settings.app.name, settings.app.version, settings.app.environment) == ("StreamFlow", "0.1.0", "development")
    assert (settings.db.url, settings.db.pool_size, settings.db.max_overflow, settings.db.echo) == (
        "sqlite:////x.db",
        3,
        4,
        True,
    )
    assert settings.auth.secret_key is not None
    assert settings.auth.secret_key.get_secret_value() == "a-long-secret-of-a-test"
    assert settings.auth.access_minutes == 45
    assert (settings.api.metrics_enabled, settings.app.metrics_port) == (False, 8080)
    assert (settings.api.log_level, settings.api.log_format) == ("WARNING", "json")
    assert (settings.api.rate_limit_enabled, settings.api.rate_limit_burst_size) == (False, 6)
    assert settings.api.rate_limits["events"].requests_per_minute == 5
    assert load_configuration(environ={"LOG_LEVEL": "ERROR"}, file=file).settings.api.log_level == "ERROR"


@pytest.mark.contract("SF-192", "SF-D8", "HC-373")
def test_two_names_that_disagree_stop_the_start_naming_both() -> None:
    (problem,) = problems(environ={"JWT_SECRET_KEY": "one", "FASTAPI_SECRET_KEY": "other"})

    assert "JWT_SECRET_KEY" in problem
    assert "FASTAPI_SECRET_KEY" in problem
    assert "other" not in problem.replace("FASTAPI_SECRET_KEY and JWT_SECRET_KEY", "")


def test_two_names_that_agree_are_fine() -> None:
    loaded = load_configuration(environ={"JWT_EXPIRE_MINUTES": "45", "WEFT_AUTH__ACCESS_MINUTES": "45.0"})

    assert loaded.settings.auth.access_minutes == 45


def test_every_setting_says_what_it_is_for() -> None:
    assert [".".join(path) for path in fields() if not description_of(path)] == []
