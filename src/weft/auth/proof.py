"""Proof: how a caller showed who it is, and until when that holds."""

from dataclasses import dataclass
from typing import Literal

from weft.core.principal import Principal

Method = Literal["token", "cookie", "api_key", "anonymous"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A verified credential. `subject_id` is the account it stands for; `session_id` and `csrf` only where there is one."""

    principal: Principal
    method: Method
    subject_id: str | None = None
    session_id: str | None = None
    expires_at_us: int | None = None
    csrf: str | None = None
