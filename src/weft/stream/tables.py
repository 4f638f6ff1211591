"""What is kept about continuous queries: what was asked, in which versions, and how far each topic is computed."""

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from weft.db.base import Base, TimeUs


class QueryRow(Base):
    """A query by its name. A removed one stays, so that its name never gives the same version out twice."""

    __tablename__ = "queries"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    owner: Mapped[str] = mapped_column(String(128), index=True)
    topic: Mapped[str] = mapped_column(String(128), index=True)
    version: Mapped[int]
    created_at_us: Mapped[TimeUs]
    changed_at_us: Mapped[TimeUs]
    removed_at_us: Mapped[TimeUs | None]


class QueryVersionRow(Base):
    """One version of a query as JSON, never changed but for its description, and who asked for it."""

    __tablename__ = "query_versions"

    name: Mapped[str] = mapped_column(String(128), ForeignKey("queries.name", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    definition: Mapped[str] = mapped_column(Text)
    made_by: Mapped[str] = mapped_column(String(256))
    made_at_us: Mapped[TimeUs]


class StreamStateRow(Base):
    """How far a share is computed: positions and the state of its queries belong together and change in one transaction.

    A share is a topic with the queries that read it along, or one query that reads the topic from its beginning by itself.

    `positions` and `published` are JSON, offsets by partition and by topic; `outgoing` are results that must stand in the log
    before anything else happens. `figures` are what the API shows of each query.
    """

    __tablename__ = "stream_states"

    share: Mapped[str] = mapped_column(String(320), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    log_identity: Mapped[str] = mapped_column(String(128))
    positions: Mapped[str] = mapped_column(Text)
    published: Mapped[str] = mapped_column(Text)
    snapshot: Mapped[bytes] = mapped_column(LargeBinary)
    outgoing: Mapped[bytes] = mapped_column(LargeBinary)
    figures: Mapped[str] = mapped_column(Text)
    saved_at_us: Mapped[TimeUs]
