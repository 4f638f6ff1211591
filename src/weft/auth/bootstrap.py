"""The first start: an installation without accounts gets its first administrator."""

from dataclasses import dataclass
from typing import Final

from weft.auth.account import make_password
from weft.auth.parts import AuthParts
from weft.core.errors import Conflict
from weft.core.principal import Role

DEFAULT_EMAIL: Final = "admin@localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAdministrator:
    """Who was made. `password` is only there where it was made here; print it once and forget it."""

    email: str
    password: str | None


async def make_first_administrator(parts: AuthParts) -> FirstAdministrator | None:
    """The first administrator, or None where there is an account already (of two processes starting at once, one makes it)."""
    if await parts.accounts.count():
        return None
    given = parts.settings.admin_password
    password = given.get_secret_value() if given is not None else make_password()
    email = parts.settings.admin_email or DEFAULT_EMAIL
    try:
        user = await parts.accounts.create(
            email, password, role=Role.ADMIN, is_verified=True, password_is_initial=given is None, only_first=True
        )
    except Conflict:
        return None
    return FirstAdministrator(email=user.email, password=None if given is not None else password)
