"""Importing rules: all of a file or, where one of them means nothing or its name is taken, none."""

from collections.abc import Sequence

import msgspec

from weft.alerts.compile import compile_rule
from weft.alerts.rule import Rule, RuleDefinition
from weft.alerts.rulebook import Rulebook
from weft.core.errors import Conflict, Invalid, NotFound


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rules of a file, by name."""

    created: list[str]
    changed: list[str]
    unchanged: list[str]


async def bring(
    rulebook: Rulebook, rules: Sequence[RuleDefinition], *, by: str, replace: bool = False, dry_run: bool = False
) -> Brought:
    """Make these rules, or change those of the same name where `replace` says so. A dry run says what would become of them.

    Raises Invalid for the first rule that means nothing, Conflict where names are taken; then nothing was made.
    """
    for rule in rules:
        try:
            compile_rule(rule, "import")
        except Invalid as wrong:
            raise Invalid(f"rule '{rule.name}': {wrong.message}", **wrong.details) from wrong
    known = {rule.name: found for rule in rules if (found := await _find(rulebook, rule.name)) is not None}
    taken = [rule.name for rule in rules if rule.name in known and known[rule.name].definition != rule]
    if taken and not replace:
        raise Conflict(f"{len(taken)} rules of these names are there already: {', '.join(taken[:10])}; replace them, or rename")
    created = [rule.name for rule in rules if rule.name not in known]
    unchanged = [rule.name for rule in rules if rule.name in known and rule.name not in taken]
    if not dry_run:
        for rule in rules:
            if rule.name in created:
                await rulebook.create(rule, by=by)
            elif rule.name in taken:
                await rulebook.change(known[rule.name].id, rule, by=by)
    return Brought(created=created, changed=taken, unchanged=unchanged)


async def _find(rulebook: Rulebook, name: str) -> Rule | None:
    try:
        return await rulebook.get(name)
    except NotFound:
        return None
