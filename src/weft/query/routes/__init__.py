"""The routes of the query room, one file per noun. `router` holds them all; a process role may take single ones."""

from fastapi import APIRouter

from weft.query.routes import dead_letters, erasures, events, live, metrics, series, topics, verdict

router = APIRouter()
for part in (events, metrics, series, topics, live, dead_letters, erasures, verdict):
    router.include_router(part.router)
