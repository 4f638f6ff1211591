"""Event types: a client must learn from the program itself what it may send."""

import jsonschema_rs
import pytest

from weft.core.errors import Invalid
from weft.core.event_types import BUILT_IN, built_in_catalogue, plain_type


@pytest.mark.contract("SF-113")
@pytest.mark.contract("SF-114")
@pytest.mark.contract("SF-115")
@pytest.mark.contract("SF-116")
@pytest.mark.contract("SF-117")
@pytest.mark.contract("SF-D17")
def test_the_documented_types_are_built_in_each_with_a_valid_versioned_schema() -> None:
    catalogue = built_in_catalogue()
    assert set(catalogue.names) == set(BUILT_IN)
    assert {"web.click", "web.pageview", "api.request", "api.response", "user.login", "user.logout"} <= set(BUILT_IN)
    assert {"error", "metric", "custom", "user.activity", "system.deployment", "system.warning"} <= set(BUILT_IN)
    for name in catalogue.names:
        entry = catalogue.get(name)
        assert entry.version >= 1
        jsonschema_rs.meta.validate(entry.schema)


def test_an_unknown_type_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(Invalid) as refusal:
        built_in_catalogue().get("Web.Click")
    assert refusal.value.field == "type"
    assert refusal.value.details["allowed_values"] == list(BUILT_IN)


def test_types_can_be_added_by_configuration() -> None:
    catalogue = built_in_catalogue().with_more([plain_type("lab.door.opened")])
    assert "lab.door.opened" in catalogue
    assert catalogue.names[: len(BUILT_IN)] == BUILT_IN


@pytest.mark.contract("SF-148")
@pytest.mark.contract("SF-150")
def test_a_metric_without_a_number_is_not_a_metric() -> None:
    entry = built_in_catalogue().get("metric")
    validator = jsonschema_rs.validator_for(entry.schema)
    assert entry.enforced
    assert validator.is_valid({"name": "pressure", "value": 1.5, "type": "gauge"})
    assert not validator.is_valid({"name": "pressure", "value": "high"})
