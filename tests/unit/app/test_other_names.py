"""The variables of the other earlier systems set the same fields; StreamFlow's are in test_config."""

from collections.abc import Callable
from typing import Any

import pytest

from weft.app.config import ConfigurationError, load_configuration
from weft.app.settings import Settings


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        pytest.param(
            "FASTAPI_DATABASE_URL",
            "sqlite:///./hardware_control.db",
            lambda settings: settings.db.url,
            "sqlite:///./hardware_control.db",
            marks=pytest.mark.contract("HC-374"),
        ),
        pytest.param(
            "FASTAPI_BACKEND_CORS_ORIGINS",
            "https://a.example,https://b.example",
            lambda settings: settings.api.cors_origins,
            ("https://a.example", "https://b.example"),
            marks=pytest.mark.contract("HC-377"),
        ),
        pytest.param("LOOM_PORT", "8123", lambda settings: settings.app.port, 8123, marks=pytest.mark.contract("LM-59")),
        pytest.param("LOOM_HOST", "::1", lambda settings: settings.app.host, "::1", marks=pytest.mark.contract("LM-59")),
        pytest.param(
            "LOOM_LOG_LEVEL", "warning", lambda settings: settings.api.log_level, "WARNING", marks=pytest.mark.contract("LM-59")
        ),
        pytest.param(
            "LOOM_DEBUG", "true", lambda settings: settings.app.debug, True, marks=pytest.mark.contract("LM-60", "SF-342")
        ),
    ],
)
def test_a_variable_of_an_earlier_system_sets_its_field(
    name: str, text: str, field: Callable[[Settings], Any], value: object
) -> None:
    assert field(load_configuration(environ={name: text}).settings) == value


def test_two_names_that_disagree_stop_the_start() -> None:
    with pytest.raises(ConfigurationError, match="LOOM_PORT"):
        load_configuration(environ={"LOOM_PORT": "1", "WEFT_APP__PORT": "2"})
