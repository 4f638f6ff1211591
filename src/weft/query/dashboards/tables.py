"""What is kept of dashboards."""

from sqlalchemy import ForeignKey, Integer, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from weft.db.base import Base, Id, TimeUs


class DashboardRow(Base):
    """A dashboard; `panels` is their JSON. Each change adds one to `version`."""

    __tablename__ = "dashboards"

    id: Mapped[Id] = mapped_column(primary_key=True)
    owner_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(128))
    description: Mapped[str] = mapped_column(Text)
    shared: Mapped[bool] = mapped_column(default=False, server_default=false())
    panels: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    created_at_us: Mapped[TimeUs]
    updated_at_us: Mapped[TimeUs]
