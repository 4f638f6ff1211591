"""What is kept about channels, and about everything on its way through them.

An intent is one row of the outbox for each channel or kind it names. Once it is known which channels these are, it becomes a
delivery for each. Deliveries leave in messages, several in one where they come close together; a message, once composed, never
changes, so that trying it again says the same under the same key.
"""

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column

from weft.db.base import Base, Id, TimeUs


class ChannelRow(Base):
    """A way to reach people. `settings` and `template` are JSON, secrets masked; `secrets` is encrypted JSON."""

    __tablename__ = "notification_channels"

    id: Mapped[Id] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    kind: Mapped[str] = mapped_column(String(16), index=True)
    settings: Mapped[str] = mapped_column(Text)
    secrets: Mapped[str | None] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(default=True, server_default=true())
    template: Mapped[str] = mapped_column(Text)
    messages_per_minute: Mapped[int | None]
    created_at_us: Mapped[TimeUs]
    updated_at_us: Mapped[TimeUs]


class OutboxRow(Base):
    """One intent for one channel or kind. `outcome` is None until it is known which channels that is; then `resolved`, or
    `no_channel`. `is_told` once an intent without a channel stands in the log as an event."""

    __tablename__ = "notification_outbox"
    __table_args__ = (
        UniqueConstraint("fingerprint", "transition", "occasion", "target"),
        Index(
            "ix_notification_outbox_waiting",
            "created_at_us",
            "fingerprint",
            "transition",
            sqlite_where=text("outcome IS NULL"),
            postgresql_where=text("outcome IS NULL"),
        ),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(128))
    transition: Mapped[int]
    occasion: Mapped[str] = mapped_column(String(32))
    target: Mapped[str] = mapped_column(String(128))
    group_key: Mapped[str] = mapped_column(String(256))
    body: Mapped[str] = mapped_column(Text)
    created_at_us: Mapped[TimeUs] = mapped_column(index=True)
    outcome: Mapped[str | None] = mapped_column(String(16), index=True)
    is_told: Mapped[bool] = mapped_column(default=False, server_default=false())


class MessageRow(Base):
    """What leaves through a channel in one piece. `body` is everything that is sent; it does not change any more."""

    __tablename__ = "notification_messages"
    __table_args__ = (
        Index("ix_notification_messages_channel_id_state_ended_at_us", "channel_id", "state", "ended_at_us"),
        Index("ix_notification_messages_composed_at_us", "composed_at_us"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    channel_id: Mapped[Id]
    channel_name: Mapped[str] = mapped_column(String(128))
    channel_kind: Mapped[str] = mapped_column(String(16))
    key: Mapped[str] = mapped_column(String(64), unique=True)
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    oldest_us: Mapped[TimeUs]
    composed_at_us: Mapped[TimeUs]
    next_at_us: Mapped[TimeUs]
    ended_at_us: Mapped[TimeUs | None]


class DeliveryRow(Base):
    """One notification through one channel: waiting, then in a message, then delivered, refused or dead."""

    __tablename__ = "notification_deliveries"
    __table_args__ = (
        Index("ix_notification_deliveries_channel_id_state_ended_at_us", "channel_id", "state", "ended_at_us"),
        Index("ix_notification_deliveries_fingerprint", "fingerprint"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    outbox_id: Mapped[Id] = mapped_column(ForeignKey("notification_outbox.id", ondelete="CASCADE"), index=True)
    message_id: Mapped[Id | None] = mapped_column(ForeignKey("notification_messages.id", ondelete="CASCADE"), index=True)
    channel_id: Mapped[Id]
    channel_name: Mapped[str] = mapped_column(String(128))
    key: Mapped[str] = mapped_column(String(64), unique=True)
    fingerprint: Mapped[str] = mapped_column(String(128))
    group_key: Mapped[str] = mapped_column(String(256))
    group_wait_us: Mapped[TimeUs | None]
    group_interval_us: Mapped[TimeUs | None]
    transition: Mapped[int]
    occasion: Mapped[str] = mapped_column(String(32))
    told_state: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    created_at_us: Mapped[TimeUs]
    ended_at_us: Mapped[TimeUs | None]


class AttemptRow(Base):
    """One try to send a message, and what the other side said. `is_told` once it stands in the log as an event."""

    __tablename__ = "notification_attempts"
    __table_args__ = (
        UniqueConstraint("message_id", "number"),
        Index(
            "ix_notification_attempts_untold",
            "id",
            sqlite_where=text("NOT is_told"),
            postgresql_where=text("NOT is_told"),
        ),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    message_id: Mapped[Id] = mapped_column(ForeignKey("notification_messages.id", ondelete="CASCADE"))
    number: Mapped[int]
    at_us: Mapped[TimeUs]
    took_us: Mapped[TimeUs]
    outcome: Mapped[str] = mapped_column(String(16))
    said: Mapped[str] = mapped_column(Text)
    retry_at_us: Mapped[TimeUs | None]
    is_told: Mapped[bool] = mapped_column(default=False, server_default=false())
