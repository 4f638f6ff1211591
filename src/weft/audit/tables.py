"""The ledger as it is kept. Rows of entries and roots are only ever added; the head is the one row that changes."""

from sqlalchemy import BigInteger, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from weft.db.base import Base, TimeUs


class EntryRow(Base):
    """One entry. `hash` is the SHA-256 of everything else in it, `previous` the hash of the entry before."""

    __tablename__ = "audit_entries"
    # A filter, then the time: each question is one walk along one index, already in the order of the answer.
    __table_args__ = (
        Index("ix_audit_entries_at_us_number", "at_us", "number"),
        Index("ix_audit_entries_action_at_us_number", "action", "at_us", "number"),
        Index("ix_audit_entries_actor_id_at_us_number", "actor_id", "at_us", "number"),
        Index("ix_audit_entries_entity_type_at_us_number", "entity_type", "at_us", "number"),
    )

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    previous: Mapped[str] = mapped_column(String(64))
    at_us: Mapped[TimeUs]
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[str | None] = mapped_column(String(64))
    actor_name: Mapped[str] = mapped_column(String(320))
    address: Mapped[str | None] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32))
    entity_type: Mapped[str] = mapped_column(String(64))
    entity_id: Mapped[str | None] = mapped_column(String(320))
    changes: Mapped[str | None] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(String(64))


class HeadRow(Base):
    """The end of the chain, in its one row. Who appends locks it first, so that there is never a second end."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))


class RootRow(Base):
    """What was signed when a day was over: the end of the chain at that moment."""

    __tablename__ = "audit_roots"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))
    signed_at_us: Mapped[TimeUs]
    key_id: Mapped[str] = mapped_column(String(16))
    signature: Mapped[str] = mapped_column(String(128))
