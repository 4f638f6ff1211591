"""The management routes of the inventory, one file per noun. `router` holds them all."""

from fastapi import APIRouter

from weft.inventory.routes import (
    groups,
    hooks,
    instrument_requests,
    instruments,
    memberships,
    notifications,
    projects,
    schedules,
    service_accounts,
    storage_locations,
)

router = APIRouter()
for part in (
    instruments,
    service_accounts,
    storage_locations,
    schedules,
    hooks,
    groups,
    projects,
    memberships,
    instrument_requests,
    notifications,
):
    router.include_router(part.router)
