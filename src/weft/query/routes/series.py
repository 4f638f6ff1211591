"""A series: one numeric field over time."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from weft.auth.signature import EventsReader
from weft.query.parameters import SeriesQuery
from weft.query.parts import Parts
from weft.query.routes.answer import answer, described
from weft.query.series import SeriesBody, draw

router = APIRouter(tags=["series"])


@router.get(
    "/api/v1/series",
    summary="One numeric field over time, ready to draw",
    description="At most `width` buckets over [from, to), each with min, max, avg, last and count, as columns: two points a "
    "pixel show every spike. Buckets without a value are left out and listed as gaps.",
    responses=described(SeriesBody, "The series."),
)
async def show_series(query: Annotated[SeriesQuery, Query()], parts: Parts, principal: EventsReader) -> Response:
    """A series."""
    return answer(await parts.gate.ask(lambda: draw(parts.store, query)))
