"""Access tokens: JWTs signed with one secret and one algorithm, read with the injected clock.

Nothing in a token's header is believed. It has to be the header we write, so there is no `alg` to choose, no `kid` and no
`jku` to follow.
"""

from typing import Any, Final

import jwt
import msgspec

from weft.auth.settings import AuthSettings
from weft.core.clock import Clock
from weft.core.errors import Unauthenticated
from weft.core.ids import new_id
from weft.core.times import MINUTE_US, SECOND_US

_MAX_CHARS: Final = 4096
_BAD: Final = "the access token is not valid; sign in again"


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says. `sid` is its session, `ver` the token version of the account; times are seconds."""

    iss: str
    aud: str
    sub: str
    sid: str
    jti: str
    ver: int
    iat: int
    exp: int


class AccessTokens:
    """Makes and reads access tokens."""

    def __init__(self, secret: bytes, *, settings: AuthSettings, clock: Clock) -> None:
        self._secret = secret
        self._settings = settings
        self._clock = clock
        self._header = {"alg": settings.algorithm, "typ": "JWT"}
        self._jws = jwt.PyJWS(algorithms=[settings.algorithm])

    @property
    def lifetime_s(self) -> int:
        """How long a new token is good: `exp` less `iat`, the `expires_in` of an answer."""
        return self._settings.access_minutes * MINUTE_US // SECOND_US

    def issue(self, *, user_id: str, session_id: str, token_version: int) -> str:
        """A new token for one session of one account."""
        now_us = self._clock.now_us()
        now_s = now_us // SECOND_US
        claims = Claims(
            iss=self._settings.issuer,
            aud=self._settings.audience,
            sub=user_id,
            sid=session_id,
            jti=new_id(now_us),
            ver=token_version,
            iat=now_s,
            exp=now_s + self.lifetime_s,
        )
        return self._jws.encode(msgspec.json.encode(claims), self._secret, algorithm=self._settings.algorithm)

    def read(self, token: str) -> Claims:
        """The claims of a token that is ours and still good. Raises Unauthenticated; whether its session lives is not asked."""
        if len(token) > _MAX_CHARS:
            raise Unauthenticated(_BAD)
        try:
            opened: dict[str, Any] = self._jws.decode_complete(token, self._secret, algorithms=[self._settings.algorithm])
            claims = msgspec.json.decode(opened["payload"], type=Claims)
        except (jwt.PyJWTError, msgspec.MsgspecError, ValueError, UnicodeError) as unreadable:
            raise Unauthenticated(_BAD) from unreadable
        now_s = self._clock.now_us() // SECOND_US
        if opened["header"] != self._header or claims.iss != self._settings.issuer or claims.aud != self._settings.audience:
            raise Unauthenticated(_BAD)
        if claims.exp <= now_s:
            raise Unauthenticated(
                "the access token has expired; refresh it or sign in again", code="ACCESS_TOKEN_ALREADY_EXPIRED"
            )
        if claims.iat > now_s + MINUTE_US // SECOND_US:
            raise Unauthenticated("the access token is from the future; check the clocks of the machines")
        return claims
