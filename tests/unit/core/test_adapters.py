"""Adapters: a wrong address must be answered with the right ones."""

import pytest

from weft.core.adapters import adapter_schemes, load_adapter
from weft.core.errors import Invalid


def test_the_embedded_adapters_are_found_by_scheme() -> None:
    assert "sqlite" in adapter_schemes("log")
    assert "parquet" in adapter_schemes("store")


@pytest.mark.parametrize("url", ["nowhere://x", "/a/path", ""])
def test_an_unknown_address_is_refused_and_the_known_schemes_named(url: str) -> None:
    with pytest.raises(Invalid, match="sqlite://"):
        load_adapter("log", url)
