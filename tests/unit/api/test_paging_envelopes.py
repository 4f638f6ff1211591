"""The numbers under a list; clients stop or go on by them."""

import pytest
from pydantic import TypeAdapter, ValidationError

from weft.api.paging import PagedRows, PageLimit, PageNumber, Pagination, SkippedRows, paginate


@pytest.mark.contract("SF-90", "SF-91", "SF-92", "SF-93", "SF-94", "SF-95")
def test_the_documented_example_comes_out_as_documented() -> None:
    assert paginate(page=1, limit=100, total=15_420) == Pagination(
        page=1, page_size=100, total=15_420, pages=155, has_next=True, has_prev=False
    )


@pytest.mark.contract("SF-94", "SF-95")
@pytest.mark.parametrize(
    ("page", "total", "pages", "has_next", "has_prev"),
    [
        (1, 0, 0, False, False),
        (1, 100, 1, False, False),
        (1, 101, 2, True, False),
        (2, 101, 2, False, True),
        (9, 5, 1, False, True),
    ],
)
def test_edges_of_pages(page: int, total: int, pages: int, has_next: bool, has_prev: bool) -> None:
    told = paginate(page=page, limit=100, total=total)
    assert (told.pages, told.has_next, told.has_prev) == (pages, has_next, has_prev)


def test_both_envelopes_have_their_seed_s_keys() -> None:
    rows = PagedRows[int](data=[1], pagination=paginate(page=1, limit=1, total=1))
    assert set(rows.model_dump()) == {"data", "pagination"}
    assert set(rows.model_dump()["pagination"]) >= {"page", "page_size", "total", "pages", "has_next", "has_prev"}
    assert {"items", "total", "skip", "limit"} <= set(SkippedRows[int](items=[], total=0, skip=0, limit=10).model_dump())


@pytest.mark.contract("SF-87", "SF-88")
@pytest.mark.parametrize(("kind", "value"), [(PageLimit, 0), (PageLimit, 1001), (PageNumber, 0)])
def test_pages_have_bounds(kind: object, value: int) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)
    assert TypeAdapter(PageLimit).validate_python(1000) == 1000
