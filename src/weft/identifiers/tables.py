"""What is kept of names, and of what agencies still have to be told about them."""

from sqlalchemy import Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from weft.db.base import Base, Id, TimeUs


class IdentifierRow(Base):
    """A name and what it names. It is never deleted and never given to anything else.

    `name` is labelled and canonical. `described` is the JSON of a `Description`. `version_of_id` is the first version's row
    where this one names a later version, `successor_id` the row of the version after this one. Each change adds one to
    `revision`.
    """

    __tablename__ = "identifiers"
    __table_args__ = (
        UniqueConstraint("scheme", "target_kind", "target_id"),
        Index("ix_identifiers_target_kind_target_id", "target_kind", "target_id"),
        Index("ix_identifiers_state_created_at_us", "state", "created_at_us"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    scheme: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(255), unique=True)
    target_kind: Mapped[str] = mapped_column(String(32))
    target_id: Mapped[str] = mapped_column(String(255))
    described: Mapped[str] = mapped_column("metadata", Text)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    version_of_id: Mapped[Id | None] = mapped_column(index=True)
    successor_id: Mapped[Id | None]
    revision: Mapped[int] = mapped_column(Integer)
    created_at_us: Mapped[TimeUs]
    changed_at_us: Mapped[TimeUs]


class RegistrationRow(Base):
    """That an agency has to know an identifier as it stands. One row for each, so however often it changes meanwhile, the
    agency is told the newest, under the one name it always had.

    `state` is `waiting`, `registered` or `refused`; `said` what the agency said the last time.
    """

    __tablename__ = "identifier_registrations"
    __table_args__ = (Index("ix_identifier_registrations_state_next_at_us", "state", "next_at_us"),)

    identifier_id: Mapped[Id] = mapped_column(primary_key=True)
    scheme: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(16))
    revision: Mapped[int] = mapped_column(Integer)
    attempts: Mapped[int] = mapped_column(Integer)
    said: Mapped[str] = mapped_column(Text)
    next_at_us: Mapped[TimeUs]
    waiting_since_us: Mapped[TimeUs]
