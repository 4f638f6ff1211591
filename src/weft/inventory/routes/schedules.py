"""Routes of schedules."""

from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import AfterValidator, Field

from weft.api.paging import Skip, SkippedRows
from weft.auth.signature import InventoryManager
from weft.inventory.cron import read_cron, read_zone
from weft.inventory.routes.answer import AS_IT_IS, DEFAULT_ROWS, Deleted, Id, KeptRead, Parts, Rows, Sent, page

router = APIRouter(tags=["schedules"])

Cron = Annotated[
    str,
    Field(min_length=1, max_length=128, description="Minute, hour, day of month, month, day of week (0 and 7 are Sunday)."),
    AfterValidator(read_cron),
]
Zone = Annotated[
    str,
    Field(min_length=1, max_length=64, description="Whose clock the hours are read on, such as Europe/Berlin."),
    AfterValidator(read_zone),
]
InstrumentId = Annotated[UUID, Field(description="Whose files.")]
LocationId = Annotated[UUID, Field(description="Where to.")]


class _Sent(Sent):
    only_read: ClassVar[frozenset[str]] = Sent.only_read | {"prefect_deployment_id"}


class ScheduleCreate(_Sent):
    """A new schedule."""

    instrument_id: InstrumentId
    default_storage_location_id: LocationId
    cron_expression: Cron
    time_zone: Zone = "UTC"
    enabled: bool = True


class ScheduleChange(_Sent):
    """What is to change about a schedule; what is left out stays."""

    instrument_id: InstrumentId = AS_IT_IS
    default_storage_location_id: LocationId = AS_IT_IS
    cron_expression: Cron = AS_IT_IS
    time_zone: Zone = AS_IT_IS
    enabled: bool = AS_IT_IS


class ScheduleRead(KeptRead):
    """A schedule. `prefect_deployment_id` is null: Weft needs no Prefect."""

    instrument_id: str
    default_storage_location_id: str
    cron_expression: str
    time_zone: str
    enabled: bool
    prefect_deployment_id: str | None


@router.get("/api/schedules", summary="Schedules, the oldest first")
async def list_schedules(
    _: InventoryManager, parts: Parts, skip: Skip = 0, limit: Rows = DEFAULT_ROWS, include_deleted: Deleted = False
) -> SkippedRows[ScheduleRead]:
    """What is to be fetched when."""
    rows, total = await parts.schedules.list_page(skip=skip, limit=limit, include_deleted=include_deleted)
    return page([ScheduleRead.of(row) for row in rows], total=total, skip=skip, limit=limit)


@router.post("/api/schedules", status_code=201, summary="Add a schedule")
async def create_schedule(body: ScheduleCreate, _: InventoryManager, parts: Parts) -> ScheduleRead:
    """Kept, and run by nobody yet. Instrument and location have to be there, and the expression has to come at some time."""
    return ScheduleRead.of(await parts.schedules.create(body.values()))


@router.get("/api/schedules/{schedule_id}", summary="One schedule")
async def read_schedule(schedule_id: Id, _: InventoryManager, parts: Parts) -> ScheduleRead:
    """Deleted ones are not found."""
    return ScheduleRead.of(await parts.schedules.get(str(schedule_id)))


@router.patch("/api/schedules/{schedule_id}", summary="Change a schedule")
async def change_schedule(schedule_id: Id, body: ScheduleChange, _: InventoryManager, parts: Parts) -> ScheduleRead:
    """What is left out stays as it is; one that is off stays off."""
    return ScheduleRead.of(await parts.schedules.change(str(schedule_id), body.changes()))


@router.delete("/api/schedules/{schedule_id}", status_code=204, summary="Delete a schedule")
async def delete_schedule(schedule_id: Id, _: InventoryManager, parts: Parts) -> Response:
    """It is switched off too. `restore` brings it back."""
    await parts.schedules.delete(str(schedule_id))
    return Response(status_code=204)


@router.post("/api/schedules/{schedule_id}/restore", summary="Bring a deleted schedule back")
async def restore_schedule(schedule_id: Id, _: InventoryManager, parts: Parts) -> ScheduleRead:
    """Switched off, until somebody switches it on."""
    return ScheduleRead.of(await parts.schedules.restore(str(schedule_id)))
