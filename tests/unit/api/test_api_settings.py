"""Settings that contradict themselves or name nonsense stop the start, and the message names them."""

import pytest
from pydantic import ValidationError

from weft.api.settings import ApiSettings


@pytest.mark.contract("SF-207")
def test_lists_may_be_written_with_commas() -> None:
    settings = ApiSettings.model_validate({"cors_origins": "https://A.example.org, http://localhost:3000"})
    assert settings.cors_origins == ("https://a.example.org", "http://localhost:3000")


@pytest.mark.parametrize(
    "wrong",
    [
        {"cors_origins": ["example.org"]},
        {"cors_origins": ["https://example.org/"]},
        {"trusted_proxies": ["not a network"]},
        {"metrics_prefix": "Stream-Flow"},
        {"rate_limit_burst_size": -1},
        {"log_level": "LOUD"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_nonsense_is_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        ApiSettings.model_validate(wrong)
    assert next(iter(wrong)) in str(refused.value)


def test_every_field_says_what_it_is() -> None:
    assert not [name for name, field in ApiSettings.model_fields.items() if not field.description]
