"""Routes of hooks."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, JsonValue

from weft.api.paging import Skip, SkippedRows
from weft.auth.signature import InventoryManager
from weft.inventory.builtin import BUILTINS, Trigger
from weft.inventory.name import Empty, Inside, Name, Prose
from weft.inventory.routes.answer import AS_IT_IS, DEFAULT_ROWS, Config, Deleted, Id, KeptRead, Parts, Rows, Sent, page

router = APIRouter(tags=["hooks"])

Implementation = Literal["builtin", "python_script", "http_webhook"]
BuiltinName = Annotated[
    Annotated[str, Field(max_length=64)] | None, Empty, Field(description="GET /api/hooks/builtins lists them.")
]
Script = Annotated[Inside | None, Empty, Field(description="The script, for python_script.")]
Url = Annotated[
    Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(?:[/?][^\s#]*)?$", max_length=2048)] | None,
    Empty,
    Field(description="Where to, for http_webhook."),
]
OneInstrument = Annotated[UUID | None, Empty, Field(description="For this instrument alone; null: for all.")]
Priority = Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="The lowest comes first.")]


class HookCreate(Sent):
    """A new hook."""

    name: Name
    trigger: Trigger
    implementation: Implementation
    description: Prose | None = None
    builtin_name: BuiltinName = None
    script_path: Script = None
    webhook_url: Url = None
    config: Config | None = None
    instrument_id: OneInstrument = None
    priority: Priority = 0
    enabled: bool = True


class HookChange(Sent):
    """What is to change about a hook; what is left out stays."""

    name: Name = AS_IT_IS
    trigger: Trigger = AS_IT_IS
    implementation: Implementation = AS_IT_IS
    description: Prose | None = None
    builtin_name: BuiltinName = None
    script_path: Script = None
    webhook_url: Url = None
    config: Config | None = None
    instrument_id: OneInstrument = None
    priority: Priority = AS_IT_IS
    enabled: bool = AS_IT_IS


class HookRead(KeptRead):
    """A hook."""

    name: str
    description: str | None
    trigger: str
    implementation: str
    builtin_name: str | None
    script_path: str | None
    webhook_url: str | None
    config: dict[str, JsonValue] | None
    instrument_id: str | None
    priority: int
    enabled: bool


class BuiltinRead(BaseModel):
    """A hook that comes with Weft. `config_schema` is the JSON Schema of its config."""

    name: str
    display_name: str
    description: str
    trigger: Literal["pre", "post", "both"]
    config_schema: dict[str, Any]


@router.get("/api/hooks/builtins", summary="Hooks that come with Weft")
async def list_builtins(_: InventoryManager) -> list[BuiltinRead]:
    """What each is for, and what its config says."""
    return [
        BuiltinRead(
            name=builtin.name,
            display_name=builtin.display_name,
            description=builtin.description,
            trigger=builtin.trigger,
            config_schema=builtin.config.model_json_schema(),
        )
        for builtin in BUILTINS.values()
    ]


@router.get("/api/hooks", summary="Hooks, the oldest first")
async def list_hooks(
    _: InventoryManager, parts: Parts, skip: Skip = 0, limit: Rows = DEFAULT_ROWS, include_deleted: Deleted = False
) -> SkippedRows[HookRead]:
    """Of all instruments and of single ones."""
    rows, total = await parts.hooks.list_page(skip=skip, limit=limit, include_deleted=include_deleted)
    return page([HookRead.of(row) for row in rows], total=total, skip=skip, limit=limit)


@router.post("/api/hooks", status_code=201, summary="Add a hook")
async def create_hook(body: HookCreate, _: InventoryManager, parts: Parts) -> HookRead:
    """Kept, and run by nobody yet. It has to say what it runs, and a built-in one what it does."""
    return HookRead.of(await parts.hooks.create(body.values()))


@router.get("/api/hooks/{hook_id}", summary="One hook")
async def read_hook(hook_id: Id, _: InventoryManager, parts: Parts) -> HookRead:
    """Deleted ones are not found."""
    return HookRead.of(await parts.hooks.get(str(hook_id)))


@router.patch("/api/hooks/{hook_id}", summary="Change a hook")
async def change_hook(hook_id: Id, body: HookChange, _: InventoryManager, parts: Parts) -> HookRead:
    """What is left out stays as it is; a `config` takes the place of the whole one."""
    return HookRead.of(await parts.hooks.change(str(hook_id), body.changes()))


@router.delete("/api/hooks/{hook_id}", status_code=204, summary="Delete a hook")
async def delete_hook(hook_id: Id, _: InventoryManager, parts: Parts) -> Response:
    """It is switched off too. `restore` brings it back."""
    await parts.hooks.delete(str(hook_id))
    return Response(status_code=204)


@router.post("/api/hooks/{hook_id}/restore", summary="Bring a deleted hook back")
async def restore_hook(hook_id: Id, _: InventoryManager, parts: Parts) -> HookRead:
    """Switched off, until somebody switches it on."""
    return HookRead.of(await parts.hooks.restore(str(hook_id)))
