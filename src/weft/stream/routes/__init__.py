"""The routes of the stream room, one file per noun. `router` holds them all."""

from fastapi import APIRouter

from weft.stream.routes import expressions, queries, trials

router = APIRouter()
for part in (trials, queries, expressions):
    router.include_router(part.router)
