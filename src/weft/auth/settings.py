"""Settings of accounts, tokens and keys."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class AuthSettings(BaseModel):
    """Who may sign in, for how long, and with what secret it is proven."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret_key: SecretStr | None = Field(
        default=None,
        description="Secret that signs access tokens (at least 32 bytes). Empty: read from `secret_key_file`, or made in the "
        "data folder in development. Required in production.",
    )
    secret_key_file: Path | None = Field(default=None, description="File that holds `secret_key`, for mounted secrets.")
    encryption_keys: tuple[SecretStr, ...] = Field(
        default=(),
        description="Fernet keys for values at rest, newest first: one encrypts, all decrypt. Empty: made in the data folder.",
    )
    algorithm: Literal["HS256"] = Field(default="HS256", description="The one algorithm access tokens are signed with.")
    issuer: str = Field(default="weft", min_length=1, description="The `iss` of access tokens.")
    audience: str = Field(default="weft", min_length=1, description="The `aud` of access tokens.")
    access_minutes: int = Field(default=30, ge=1, le=1440, description="How long an access token is good (minutes).")
    refresh_days: int = Field(default=14, ge=1, le=365, description="How long a refresh token is good when unused (days).")
    session_days: int = Field(
        default=90, ge=1, le=730, description="How long one sign-in lasts however often refreshed (days)."
    )
    cookie_hours: int = Field(default=12, ge=1, le=720, description="How long a browser stays signed in (hours).")
    cookie_secure: bool | None = Field(
        default=None, description="Send the session cookie over TLS only. Empty: yes in production, no in development."
    )
    allow_registration: bool | None = Field(
        default=None,
        description="Whether strangers may create an account of role user for themselves. Empty: yes in development, else no.",
    )
    allow_anonymous_writes: bool = Field(
        default=True,
        description="In development, let callers on this machine write events without a key. Ignored in production.",
    )
    min_password_chars: int = Field(default=8, ge=8, le=128, description="Shortest password accepted (characters).")
    lock_after_account: int = Field(
        default=10, ge=3, le=100, description="Failed sign-ins on one account before it must wait (attempts)."
    )
    lock_after_address: int = Field(
        default=30, ge=3, le=1000, description="Failed sign-ins from one address before it must wait (attempts)."
    )
    lock_longest_minutes: int = Field(default=15, ge=1, le=1440, description="The longest wait after failures (minutes).")
    cache_s: float = Field(
        default=5.0,
        ge=0,
        le=30,
        description="How long a verified credential is trusted without asking the database (seconds). "
        "A revocation made by another process takes effect at once through a shared cache, else after at most this long.",
    )
    cache_entries: int = Field(default=4096, ge=1, le=1_000_000, description="Verified credentials remembered (entries).")
    admin_email: str | None = Field(default=None, description="E-mail address of the first administrator.")
    admin_password: SecretStr | None = Field(
        default=None, description="Password of the first administrator. Empty: a random one, printed once."
    )
