"""What is kept about accounts, sessions and keys. Nothing here is a secret: passwords, tokens and keys are hashes."""

from sqlalchemy import ForeignKey, Index, String, Text, false, true
from sqlalchemy.orm import Mapped, mapped_column

from weft.core.principal import Role
from weft.db.base import Base, Id, TimeUs


class User(Base):
    """An account. Deleting one only sets `deleted_at_us`, so that what it did keeps a name."""

    __tablename__ = "users"

    id: Mapped[Id] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    hashed_password: Mapped[str] = mapped_column(String(1024))
    role: Mapped[str] = mapped_column(String(16), default=Role.USER.value)
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())
    is_verified: Mapped[bool] = mapped_column(default=False, server_default=false())
    password_is_initial: Mapped[bool] = mapped_column(default=False, server_default=false())
    token_version: Mapped[int] = mapped_column(default=0)
    created_at_us: Mapped[TimeUs]
    updated_at_us: Mapped[TimeUs]
    last_login_us: Mapped[TimeUs | None]
    deleted_at_us: Mapped[TimeUs | None]

    @property
    def is_superuser(self) -> bool:
        """The flag FastAPI-users' clients read; there is one notion of power, the role."""
        return self.role == Role.ADMIN

    @property
    def may_sign_in(self) -> bool:
        """Neither deactivated nor deleted."""
        return self.is_active and self.deleted_at_us is None


class Session(Base):
    """One sign-in: the family of every access and refresh token that came from it, or a browser's cookie."""

    __tablename__ = "sessions"

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    method: Mapped[str] = mapped_column(String(16))
    cookie_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    client_ip: Mapped[str] = mapped_column(String(64))
    created_at_us: Mapped[TimeUs]
    expires_at_us: Mapped[TimeUs] = mapped_column(index=True)
    revoked_at_us: Mapped[TimeUs | None]
    revoked_why: Mapped[str | None] = mapped_column(String(64))


class RefreshToken(Base):
    """One refresh token, as its SHA-256. Used once; used twice, it ends its session."""

    __tablename__ = "refresh_tokens"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_id: Mapped[Id] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    expires_at_us: Mapped[TimeUs]
    used_at_us: Mapped[TimeUs | None]


class ApiKey(Base):
    """A key for a device or a program. `secret_hash` is the SHA-256 of 256 random bits."""

    __tablename__ = "api_keys"

    id: Mapped[Id] = mapped_column(primary_key=True)
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    secret_hash: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(128))
    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    scopes: Mapped[str] = mapped_column(Text)
    requests_per_minute: Mapped[int | None]
    created_at_us: Mapped[TimeUs]
    expires_at_us: Mapped[TimeUs | None]
    last_used_us: Mapped[TimeUs | None]
    revoked_at_us: Mapped[TimeUs | None]


class Attempt(Base):
    """Failed sign-ins of one account or one address, shared by every process so that a replica is no second chance."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index("ix_login_attempts_last_us", "last_us"),)

    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    failures: Mapped[int]
    last_us: Mapped[TimeUs]
    locked_until_us: Mapped[TimeUs]
