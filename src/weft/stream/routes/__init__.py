"""The routes of the stream room, one file per noun. `router` holds them all."""

from fastapi import APIRouter

from weft.stream.routes import queries, trials

router = APIRouter()
for part in (trials, queries):
    router.include_router(part.router)
