"""Files of rules become rules of a real rulebook: all of them or none."""

import pytest

from tests.integration.alerts.conftest import Court
from weft.alerts.rule import RuleDefinition, read_definition
from weft.alerts.rule_import import bring
from weft.core.errors import Conflict, Invalid


def _rule(name: str, condition: str = "count > 5") -> RuleDefinition:
    return read_definition({"name": name, "condition": condition})


async def _names(court: Court) -> list[str]:
    rules, _ = await court.rulebook.list()
    return [rule.name for rule in rules]


async def test_a_file_is_brought_over_once_and_again_changes_nothing(court: Court) -> None:
    rules = [_rule("one"), _rule("two")]

    first = await bring(court.rulebook, rules, by="user:ada")
    again = await bring(court.rulebook, rules, by="user:ada")

    assert (first.created, first.changed) == (["one", "two"], [])
    assert (again.created, again.changed, again.unchanged) == ([], [], ["one", "two"])
    assert (await court.rulebook.get("one")).version == 1, "the same content is no new version"


async def test_one_rule_that_means_nothing_keeps_the_whole_file_out(court: Court) -> None:
    with pytest.raises(Invalid, match="rule 'broken'"):
        await bring(court.rulebook, [_rule("one"), _rule("broken", "avg(temperature")], by="user:ada")

    assert await _names(court) == []


async def test_a_name_that_is_taken_is_changed_only_where_that_was_said(court: Court) -> None:
    await bring(court.rulebook, [_rule("one")], by="user:ada")

    with pytest.raises(Conflict, match="one"):
        await bring(court.rulebook, [_rule("new"), _rule("one", "count > 6")], by="user:bob")
    assert await _names(court) == ["one"]
    brought = await bring(court.rulebook, [_rule("new"), _rule("one", "count > 6")], by="user:bob", replace=True)

    assert (brought.created, brought.changed) == (["new"], ["one"])
    assert (await court.rulebook.get("one")).version == 2


async def test_a_dry_run_says_what_would_become_of_a_file_and_does_nothing(court: Court) -> None:
    brought = await bring(court.rulebook, [_rule("one")], by="user:ada", dry_run=True)

    assert brought.created == ["one"]
    assert await _names(court) == []
