"""The route that looks at an expression while it is typed."""

from typing import Any, Final, cast

import msgspec
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from weft.auth.signature import QueryReader
from weft.stream.column import Kind
from weft.stream.expression.check import Answer, Purpose, Question, check
from weft.stream.expression.parser import MAX_LENGTH

router = APIRouter(tags=["queries"])

_MOST_NAMES: Final = 1_000


class ExpressionBody(BaseModel):
    """An expression to look at."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"expression": "severity == 'high'"}]})

    expression: str = Field(max_length=MAX_LENGTH * 2)
    purpose: Purpose = Field(default="where", description="Where it stands: in `where`, `select` or `having`, or as a `rule`.")
    fields: dict[str, Kind] = Field(
        default_factory=dict[str, Kind], max_length=_MOST_NAMES, description="Fields of events that were seen, by whole names."
    )
    values: dict[str, Kind] = Field(
        default_factory=dict[str, Kind], max_length=_MOST_NAMES, description="The names that `having` may use."
    )
    threshold: float | None = Field(default=None, description="The threshold of a rule.")
    cursor: int | None = Field(default=None, ge=0, description="Characters before the place to complete.")


def _schema() -> dict[str, Any]:
    """The JSON Schema of an answer. The tree is made of itself, so its nodes are described once and then only named."""
    (schema,), components = msgspec.json.schema_components([Answer], ref_template="{name}")
    return cast("dict[str, Any]", _resolved(schema, components, ()))


def _resolved(schema: Any, components: dict[str, Any], within: tuple[str, ...]) -> Any:
    if isinstance(schema, dict):
        found = cast("dict[str, Any]", schema)
        if "$ref" in found:
            name: str = found["$ref"]
            return (
                {"title": name, "type": "object"}
                if name in within
                else _resolved(components[name], components, (*within, name))
            )
        return {key: _resolved(value, components, within) for key, value in found.items()}
    if isinstance(schema, list):
        return [_resolved(entry, components, within) for entry in cast("list[Any]", schema)]
    return schema


@router.post(
    "/api/v1/expressions/check",
    summary="Look at an expression",
    description="What it means, in words and as a tree; what is wrong with it, and where; what could come next at the cursor. "
    "A wrong expression is answered too: `valid` is false then, and `errors` say why.",
    responses={200: {"description": "What there is to say.", "content": {"application/json": {"schema": _schema()}}}},
)
async def check_expression(body: ExpressionBody, principal: QueryReader) -> Response:
    """What there is to say about an expression."""
    question = Question(**body.model_dump())
    return Response(msgspec.json.encode(check(question)), media_type="application/json")
