"""What every table shares: one metadata, names of constraints that migrations can rely on, and how time is kept.

Time is one choice everywhere in Weft: int64 microseconds since 1970 UTC, in columns named `…_us`. A database never
converts it, so SQLite and PostgreSQL agree and no driver can lose an offset.
"""

from typing import Annotated, Final

from sqlalchemy import BigInteger, MetaData, String
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

TimeUs = Annotated[int, mapped_column(BigInteger)]
"""A moment: microseconds since 1970-01-01T00:00:00Z."""

Id = Annotated[str, mapped_column(String(36))]
"""A UUIDv7 as text, sortable by the millisecond it was made."""


class Base(DeclarativeBase):
    """Every table of every room."""

    metadata = MetaData(naming_convention=NAMING)
