"""What is kept of the inventory. A name belongs to one thing of its kind, deleted ones included: restoring always works."""

from typing import Any, ClassVar, Final

import msgspec
from sqlalchemy import Dialect, ForeignKey, Index, String, Text, TypeDecorator, UniqueConstraint, false, true
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from weft.db.base import Base, Id, TimeUs

USER: Final = "user"
GROUP: Final = "group"

_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


class JsonText(TypeDecorator[dict[str, Any]]):
    """An object, kept as JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:
        return None if value is None else _OBJECT.decode(value)


class Kept(Base):
    """What every kind has. Deleting sets `deleted_at_us`; what was done keeps what it was done to.

    `noun` names the kind in sentences, `entity` in what is written down of changes; columns in `secret` are shown to nobody.
    """

    __abstract__ = True
    noun: ClassVar[str]
    entity: ClassVar[str]
    secret: ClassVar[frozenset[str]] = frozenset()

    id: Mapped[Id] = mapped_column(primary_key=True)
    created_at_us: Mapped[TimeUs]
    updated_at_us: Mapped[TimeUs]
    deleted_at_us: Mapped[TimeUs | None]

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:  # noqa: N805 - called on each class
        return (Index(None, "created_at_us", "id"),)


class Named(Kept):
    """What has a name of its own. `name_key` is the name as it is compared: letters of either case are the same."""

    __abstract__ = True

    name: Mapped[str] = mapped_column(String(255))
    name_key: Mapped[str] = mapped_column(String(1024), unique=True)


class Switched:
    """What can be switched off. A deleted thing is off, and stays so when it is restored."""

    enabled: Mapped[bool] = mapped_column(default=True, server_default=true())


class ServiceAccountRow(Named):
    """An account on instruments' shares. Its password is text under the installation's cipher."""

    __tablename__ = "service_accounts"
    noun = "service account"
    entity = "service_account"
    secret = frozenset({"password"})

    domain: Mapped[str | None] = mapped_column(String(255))
    username: Mapped[str] = mapped_column(String(255))
    password: Mapped[str] = mapped_column(Text)


class InstrumentRow(Switched, Named):
    """A thing that measures and leaves files on a share of its computer."""

    __tablename__ = "instruments"
    noun = "instrument"
    entity = "instrument"

    description: Mapped[str | None] = mapped_column(Text)
    location: Mapped[str | None] = mapped_column(String(255))
    pid: Mapped[str | None] = mapped_column(String(255))
    cifs_host: Mapped[str] = mapped_column(String(255))
    cifs_port: Mapped[int]
    cifs_share: Mapped[str] = mapped_column(String(255))
    cifs_base_path: Mapped[str | None] = mapped_column(String(1024))
    service_account_id: Mapped[Id | None] = mapped_column(ForeignKey("service_accounts.id"), index=True)
    transfer_adapter: Mapped[str] = mapped_column(String(16))
    transfer_config: Mapped[dict[str, Any] | None] = mapped_column(JsonText)
    last_harvested_at_us: Mapped[TimeUs | None]


class LocationRow(Switched, Named):
    """A place for files. `connection_config` holds masks where it has secrets; those are in `secrets`, under the cipher."""

    __tablename__ = "storage_locations"
    noun = "storage location"
    entity = "storage_location"
    secret = frozenset({"secrets"})

    type: Mapped[str] = mapped_column(String(16))
    base_path: Mapped[str] = mapped_column(String(1024))
    connection_config: Mapped[dict[str, Any]] = mapped_column(JsonText)
    secrets: Mapped[str | None] = mapped_column(Text)


class ScheduleRow(Switched, Kept):
    """When an instrument's files are fetched, and where to. The hours of `cron_expression` are those of `time_zone`."""

    __tablename__ = "harvest_schedules"
    noun = "schedule"
    entity = "schedule"

    instrument_id: Mapped[Id] = mapped_column(ForeignKey("instruments.id"), index=True)
    default_storage_location_id: Mapped[Id] = mapped_column(ForeignKey("storage_locations.id"), index=True)
    cron_expression: Mapped[str] = mapped_column(String(128))
    time_zone: Mapped[str] = mapped_column(String(64))
    prefect_deployment_id: Mapped[str | None] = mapped_column(String(64))


class HookRow(Switched, Named):
    """What is done before or after a transfer, for one instrument or (without one) for all."""

    __tablename__ = "hook_configs"
    noun = "hook"
    entity = "hook"

    description: Mapped[str | None] = mapped_column(Text)
    trigger: Mapped[str] = mapped_column(String(16))
    implementation: Mapped[str] = mapped_column(String(16))
    builtin_name: Mapped[str | None] = mapped_column(String(64))
    script_path: Mapped[str | None] = mapped_column(String(1024))
    webhook_url: Mapped[str | None] = mapped_column(String(2048))
    config: Mapped[dict[str, Any] | None] = mapped_column(JsonText)
    instrument_id: Mapped[Id | None] = mapped_column(ForeignKey("instruments.id"), index=True)
    priority: Mapped[int]


class GroupRow(Named):
    """People who see the same things."""

    __tablename__ = "groups"
    noun = "group"
    entity = "group"

    description: Mapped[str | None] = mapped_column(Text)


class GroupMemberRow(Base):
    """That an account is in a group."""

    __tablename__ = "group_memberships"

    group_id: Mapped[Id] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    created_at_us: Mapped[TimeUs]


class ProjectRow(Named):
    """Work that people and groups share."""

    __tablename__ = "projects"
    noun = "project"
    entity = "project"

    description: Mapped[str | None] = mapped_column(Text)


class ProjectMemberRow(Base):
    """That an account or a group (`member_type`) is in a project."""

    __tablename__ = "project_memberships"
    __table_args__ = (UniqueConstraint("project_id", "member_type", "member_id"), Index(None, "member_type", "member_id"))

    id: Mapped[Id] = mapped_column(primary_key=True)
    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    member_type: Mapped[str] = mapped_column(String(16))
    member_id: Mapped[Id]
    created_at_us: Mapped[TimeUs]


class RequestRow(Kept):
    """Somebody's wish that an instrument be harvested, and what was decided."""

    __tablename__ = "instrument_requests"
    noun = "instrument request"
    entity = "instrument_request"

    requester_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    location: Mapped[str] = mapped_column(String(255))
    harvest_frequency: Mapped[str] = mapped_column(String(255))
    justification: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    admin_notes: Mapped[str | None] = mapped_column(Text)


class NoticeRow(Base):
    """What one person is told inside the program."""

    __tablename__ = "notices"
    __table_args__ = (Index(None, "recipient_id", "created_at_us"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    recipient_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(255))
    message: Mapped[str] = mapped_column(Text)
    link: Mapped[str | None] = mapped_column(String(255))
    read: Mapped[bool] = mapped_column(default=False, server_default=false())
    dismissed_at_us: Mapped[TimeUs | None]
    created_at_us: Mapped[TimeUs]
