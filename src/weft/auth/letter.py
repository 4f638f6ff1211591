"""Letters: tokens sent to an e-mail address, to verify it or to set a new password.

A letter is signed, names its purpose, lasts an hour, and holds a fingerprint of what it changes, so it works once.
"""

import hashlib
import hmac
from typing import Any, Final, Literal

import jwt
import msgspec

from weft.auth.secrets import Secrets
from weft.auth.tables import User
from weft.core.clock import Clock
from weft.core.times import HOUR_US, SECOND_US

Purpose = Literal["verify", "reset"]
_ALGORITHM: Final = "HS256"
_LASTS_S: Final = HOUR_US // SECOND_US


class _Content(msgspec.Struct, frozen=True):
    sub: str
    mark: str
    exp: int


class Letters:
    """Writes and reads letters."""

    def __init__(self, secrets: Secrets, *, clock: Clock) -> None:
        self._keys: dict[Purpose, bytes] = {"verify": secrets.key_for("verify"), "reset": secrets.key_for("reset")}
        self._clock = clock
        self._jws = jwt.PyJWS(algorithms=[_ALGORITHM])

    def write(self, purpose: Purpose, user: User) -> str:
        """A token for one purpose and the account as it is now."""
        content = _Content(user.id, _mark(user), self._clock.now_us() // SECOND_US + _LASTS_S)
        return self._jws.encode(msgspec.json.encode(content), self._keys[purpose], algorithm=_ALGORITHM)

    def read_user_id(self, purpose: Purpose, token: str) -> str | None:
        """The account a token was written for, if it is ours, for this purpose and not too old."""
        content = self._open(purpose, token)
        return content.sub if content else None

    def fits(self, purpose: Purpose, token: str, user: User) -> bool:
        """Whether nothing the token was about has changed since it was written."""
        content = self._open(purpose, token)
        return content is not None and content.sub == user.id and hmac.compare_digest(content.mark, _mark(user))

    def _open(self, purpose: Purpose, token: str) -> _Content | None:
        try:
            opened: dict[str, Any] = self._jws.decode_complete(token, self._keys[purpose], algorithms=[_ALGORITHM])
            content = msgspec.json.decode(opened["payload"], type=_Content)
        except (jwt.PyJWTError, msgspec.MsgspecError, ValueError):
            return None
        return content if content.exp > self._clock.now_us() // SECOND_US else None


def _mark(user: User) -> str:
    return hashlib.sha256(f"{user.email}\n{user.hashed_password}\n{user.is_verified}".encode()).hexdigest()[:32]
