"""Settings that would make names nobody can rely on, or send people elsewhere, are refused at the start."""

from typing import Any

import pytest
from pydantic import ValidationError

from weft.identifiers.settings import IdentifiersSettings

PUBLIC = {"public_url": "https://lab.example.org"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"naan": "9999"}, "naan"),
        ({"naan": "9999l"}, "naan"),
        ({"shoulder": "4fk"}, "shoulder"),
        ({"shoulder": "fk"}, "shoulder"),
        ({"naan": "999999999", "shoulder": "bcdfghj4", "blade_chars": 16}, "come to 35"),
        ({"landing": {"file": "https://evil.example/{id}"}}, "path of this installation"),
        ({"landing": {"file": "//evil.example/{id}"}}, "path of this installation"),
        ({"landing": {"file": "/\\evil.example/{id}"}}, "path of this installation"),
        ({"landing": {"file": "/{id}"}}, "path of this installation"),
        ({"doi": {"prefix": "10.5072"}}, "public_url"),
        ({"default_scheme": "doi"}, "nothing could get a name"),
        ({"default_scheme": "handle"}, "nothing could get a name"),
        ({**PUBLIC, "doi": {"api_url": "http://api.datacite.org"}}, "https"),
        ({**PUBLIC, "doi": {"api_url": "https://me:secret@api.datacite.org"}}, "without a name or password"),
        ({**PUBLIC, "handle": {"prefix": "21.T12345"}}, "server_url"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        IdentifiersSettings.model_validate(settings)


def test_what_works_is_taken() -> None:
    settings = IdentifiersSettings.model_validate(
        {**PUBLIC, "landing": {"file": "/files/{id}", "run": "/runs/{name}/at{suffix}"}, "doi": {"prefix": "10.5072"}}
    )

    assert settings.landing["file"] == "/files/{id}"
