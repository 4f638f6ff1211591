"""What the database room keeps for all others."""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from weft.db.base import Base


class LeaseRow(Base):
    """Who does a piece of work now. `epoch` grows with every change of hands, `renewals` with every sign of life.

    There is no time in it: who waits measures by its own clock how long the row has not changed, so clocks need not agree.
    """

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(320), primary_key=True)
    holder: Mapped[str] = mapped_column(String(128))
    epoch: Mapped[int] = mapped_column(BigInteger)
    renewals: Mapped[int] = mapped_column(BigInteger)
