"""Lists, in the two envelopes clients know, and the bounds of a page."""

from collections.abc import Sequence
from typing import Annotated, Final, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000

Row = TypeVar("Row")

PageNumber = Annotated[int, Query(ge=1, le=1_000_000, description="Page, counted from 1.")]
PageLimit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows on a page.")]
Skip = Annotated[int, Query(ge=0, le=1_000_000_000, description="Rows to leave out at the beginning.")]
Cursor = Annotated[str | None, Query(max_length=512, description="Go on behind this: the `next_cursor` of the page before.")]


class Pagination(BaseModel):
    """Where a page stands among all."""

    page: int
    page_size: int
    total: int
    pages: int = Field(description="total ÷ page_size, rounded up.")
    has_next: bool
    has_prev: bool
    next_cursor: str | None = Field(default=None, description="Asks for the next page without counting; null on the last one.")


class PagedRows(BaseModel, Generic[Row]):
    """`{data, pagination}`."""

    data: Sequence[Row]
    pagination: Pagination


class SkippedRows(BaseModel, Generic[Row]):
    """`{items, total, skip, limit}`."""

    items: Sequence[Row]
    total: int
    skip: int
    limit: int
    next_cursor: str | None = None


def paginate(*, page: int, limit: int, total: int, next_cursor: str | None = None) -> Pagination:
    """The pagination of page `page` (from 1) of `total` rows, `limit` on each."""
    pages = -(-total // limit)
    return Pagination(
        page=page,
        page_size=limit,
        total=total,
        pages=pages,
        has_next=page < pages,
        has_prev=page > 1,
        next_cursor=next_cursor,
    )
