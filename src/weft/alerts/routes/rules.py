"""Routes of rules: StreamFlow's AlertRule, and what Weft adds."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from weft.alerts.parts import Parts
from weft.alerts.routes.answer import Answer
from weft.alerts.rule import Rule, RuleDefinition
from weft.api.paging import PagedRows, PageLimit, PageNumber, paginate
from weft.auth.signature import AlertReader, RuleWriter
from weft.core.errors import Invalid
from weft.core.times import to_text

router = APIRouter(tags=["rules"])

RuleId = Annotated[str, Path(min_length=1, max_length=128, description="The id of the rule, or its name.")]


class RuleBody(RuleDefinition):
    """A rule as it is to be. What only a kept rule has may stand there, so that what was read can be sent back."""

    id: UUID | None = Field(default=None, description="The id of a new rule, where the client gives one; it never changes.")
    version: int | None = Field(default=None, description="Not read: Weft counts.")
    owner: str | None = Field(default=None, description="Not read.")
    created_at: str | None = Field(default=None, description="Not read.")
    updated_at: str | None = Field(default=None, description="Not read.")

    def to_definition(self) -> RuleDefinition:
        """What somebody wants."""
        return RuleDefinition.model_validate(self.model_dump(include=set(RuleDefinition.model_fields)))


class RuleRead(RuleDefinition):
    """A rule as it is kept."""

    id: str
    version: int
    owner: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, rule: Rule) -> "RuleRead":
        """The rule, every field by its own name."""
        return cls.model_validate(
            rule.definition.to_json()
            | {
                "id": rule.id,
                "version": rule.version,
                "owner": rule.owner,
                "created_at": to_text(rule.created_at_us),
                "updated_at": to_text(rule.updated_at_us),
            }
        )


class VersionRead(BaseModel):
    """One version of a rule."""

    version: int
    made_at: str
    made_by: str
    definition: dict[str, Any]


class VersionList(BaseModel):
    """Every version, newest first."""

    data: list[VersionRead]


class WhyNotRead(BaseModel):
    """Why a rule tells nobody anything."""

    rule_id: str
    rule_version: int
    answer: str = Field(
        description="disabled, cannot_be_judged, not_started, lagging, nothing_arrived, not_true, unknown, pending, silenced, "
        "inhibited, acknowledged, flapping, shadow, no_channel or told."
    )
    sentence: str
    progress: dict[str, Any] | None = Field(description="How far its query is answered.")
    keys: list[dict[str, Any]] = Field(description="Key by key: the newest window, its values and what became of them.")


@router.post("/api/v1/rules", status_code=201, summary="Make a rule")
async def create_rule(body: RuleBody, parts: Parts, principal: RuleWriter) -> Answer[RuleRead]:
    """It is judged from now on. Refused with the field, and the column inside it, where it means nothing."""
    rule_id = None if body.id is None else str(body.id)
    rule = await parts.rulebook.create(body.to_definition(), by=f"{principal.kind}:{principal.id}", rule_id=rule_id)
    parts.judge.wake()
    return Answer(message="Rule created successfully", data=RuleRead.of(rule))


@router.get("/api/v1/rules", summary="The rules")
async def list_rules(
    parts: Parts,
    principal: AlertReader,
    enabled: Annotated[bool | None, Query(description="Only those that are enabled, or only the others.")] = None,
    page: PageNumber = 1,
    limit: PageLimit = 100,
) -> PagedRows[RuleRead]:
    """By name, those that come with Weft too."""
    rules, total = await parts.rulebook.list(enabled=enabled, skip=(page - 1) * limit, limit=limit)
    return PagedRows(data=[RuleRead.of(rule) for rule in rules], pagination=paginate(page=page, limit=limit, total=total))


@router.get("/api/v1/rules/{rule_id}", summary="One rule")
async def show_rule(rule_id: RuleId, parts: Parts, principal: AlertReader) -> Answer[RuleRead]:
    """In its newest version."""
    return Answer(message="Rule found", data=RuleRead.of(await parts.rulebook.get(rule_id)))


@router.put("/api/v1/rules/{rule_id}", summary="Change a rule")
async def change_rule(rule_id: RuleId, body: RuleBody, parts: Parts, principal: RuleWriter) -> Answer[RuleRead]:
    """A new version. Alerts that go on are kept where it means the same as before, and end where it does not."""
    kept = await parts.rulebook.get(rule_id)
    if body.id is not None and str(body.id) != kept.id:
        raise Invalid(f"the rule '{kept.name}' has the id {kept.id}, which cannot become {body.id}", field="id")
    rule = await parts.rulebook.change(kept.id, body.to_definition(), by=f"{principal.kind}:{principal.id}")
    parts.judge.wake()
    return Answer(message="Rule updated successfully", data=RuleRead.of(rule))


@router.delete("/api/v1/rules/{rule_id}", status_code=204, summary="Remove a rule")
async def remove_rule(rule_id: RuleId, parts: Parts, principal: RuleWriter) -> Response:
    """Its alerts end; what they were stays to be seen."""
    await parts.rulebook.remove(rule_id)
    parts.judge.wake()
    return Response(status_code=204)


@router.get("/api/v1/rules/{rule_id}/versions", summary="Every version of a rule")
async def list_versions(rule_id: RuleId, parts: Parts, principal: AlertReader) -> VersionList:
    """Newest first; by the id also those of a rule that is gone."""
    return VersionList(
        data=[
            VersionRead(version=one.version, made_at=to_text(one.made_at_us), made_by=one.made_by, definition=one.definition)
            for one in await parts.rulebook.versions(rule_id)
        ]
    )


@router.get("/api/v1/rules/{rule_id}/why-not", summary="Why a rule tells nobody anything")
async def why_not(rule_id: RuleId, parts: Parts, principal: AlertReader) -> WhyNotRead:
    """Nothing arrived, not true (with the values), pending until, silenced by, disabled, lagging and so on."""
    return WhyNotRead.model_validate(msgspec.to_builtins(await parts.why_nots.ask(rule_id)))
