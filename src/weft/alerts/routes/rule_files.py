"""Routes that carry rules in files: out of this Weft, into another one, and in from Prometheus."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from weft.alerts.parts import Parts
from weft.alerts.rule_file import LABELS, MAX_BYTES, Reading, read_rule_file, write_rules
from weft.alerts.rule_import import bring
from weft.alerts.rulebook import BUILT_IN
from weft.auth.signature import AlertReader, RuleWriter
from weft.core.event import DEFAULT_TOPIC

router = APIRouter(tags=["rules"])

YAML = "application/yaml"


class ImportBody(BaseModel):
    """A file of rules, and how to read it."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=MAX_BYTES, description="YAML: a file of rules that was exported, or a Prometheus rule file.")
    topic: str = Field(default=DEFAULT_TOPIC, max_length=128, description="The topic that Prometheus' metrics are in.")
    labels: dict[str, str] = Field(
        default_factory=lambda: dict(LABELS), max_length=64, description="Which field a label is, where it is not data.<label>."
    )
    channels: list[Annotated[str, Field(max_length=128)]] = Field(
        default_factory=list[str], max_length=32, description="Whom the rules of Prometheus tell."
    )
    replace: bool = Field(default=False, description="Change rules of the same name.")
    dry_run: bool = Field(default=False, description="Only say what would become of them.")


class ImportRead(BaseModel):
    """What became of a file."""

    created: list[str]
    changed: list[str]
    unchanged: list[str]
    refusals: list[dict[str, Any]] = Field(description="What became no rule: its name, its expression, and why.")
    remarks: list[dict[str, Any]] = Field(description="What is not quite as it was.")


@router.post("/api/v1/rules/import", summary="Import a file of rules")
async def import_rules(body: ImportBody, parts: Parts, principal: RuleWriter) -> ImportRead:
    """All of its rules, or none where one of them means nothing. What of a Prometheus file has no counterpart is named."""
    reading = Reading(topic=body.topic, labels=body.labels, channels=tuple(body.channels))
    imported = read_rule_file(body.text, reading)
    by = f"{principal.kind}:{principal.id}"
    brought = await bring(parts.rulebook, imported.rules, by=by, replace=body.replace, dry_run=body.dry_run)
    parts.judge.wake()
    return ImportRead(
        **msgspec.to_builtins(brought),
        refusals=msgspec.to_builtins(imported.refusals),
        remarks=msgspec.to_builtins(imported.remarks),
    )


@router.get(
    "/api/v1/rules/export",
    summary="Export the rules as a file",
    response_class=Response,
    responses={200: {"description": "YAML.", "content": {YAML: {"schema": {"type": "string"}}}}},
)
async def export_rules(parts: Parts, principal: AlertReader) -> Response:
    """Every rule but those that come with Weft, without what is as it is by default."""
    rules, _ = await parts.rulebook.list()
    text = write_rules(rule.definition for rule in rules if rule.owner != BUILT_IN)
    return Response(text, media_type=YAML, headers={"Content-Disposition": 'attachment; filename="rules.yaml"'})
