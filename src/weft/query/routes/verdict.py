"""The verdict, and the books behind its most important check."""

from typing import Any

import msgspec
from fastapi import APIRouter, Response

from weft.auth.signature import EventsReader, VerdictReader
from weft.core import times
from weft.core.verdict import Finding
from weft.query.conservation import Conservation, balance
from weft.query.parts import Parts
from weft.query.routes.answer import answer, described

router = APIRouter(tags=["operations"])


class FindingBody(msgspec.Struct, kw_only=True):
    """What one check saw."""

    code: str
    level: str
    since: str | None
    why: str
    parameters: dict[str, Any]


class VerdictBody(msgspec.Struct, kw_only=True):
    """The worst level (`fine`, `unknown`, `look`, `act`), one sentence, and every finding, worst first."""

    level: str
    sentence: str
    at: str
    findings: list[FindingBody]


@router.get("/api/v1/verdict", summary="Is everything fine?", responses=described(VerdictBody, "The verdict."))
async def show_verdict(parts: Parts, principal: VerdictReader) -> Response:
    """The verdict of this process, from every check of every room."""
    verdict = await parts.gate.ask(lambda: parts.checks.verdict(parts.clock.now_us()))
    return answer(
        VerdictBody(
            level=verdict.level.value,
            sentence=verdict.sentence,
            at=times.to_text(verdict.at_us),
            findings=[_shown(finding) for finding in verdict.findings],
        )
    )


@router.get(
    "/api/v1/conservation",
    summary="Where every accepted event is",
    description="Per topic: accepted = stored + repeats + expired + late + dead_lettered + erased + damaged + in_flight + "
    "difference. A difference other than 0 means that events are lost or double.",
    responses=described(Conservation, "The balances."),
)
async def show_conservation(parts: Parts, principal: EventsReader) -> Response:
    """The books of conservation."""
    return answer(await parts.gate.ask(lambda: balance(parts.log, parts.store, parts.dead)))


def _shown(finding: Finding) -> FindingBody:
    return FindingBody(
        code=finding.code,
        level=finding.level.value,
        since=None if finding.since_us is None else times.to_text(finding.since_us),
        why=finding.why,
        parameters=finding.parameters,
    )
