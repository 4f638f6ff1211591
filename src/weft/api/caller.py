"""How a request says who asks. The auth room implements `Authenticator`; every door and route uses it through here."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from weft.core.principal import Principal


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a caller before anyone looked: lower-case headers, the network address, whether it may change things."""

    headers: Mapping[str, str]
    client_ip: str
    method: str
    is_websocket: bool = False


class Authenticator(Protocol):
    """Turns what a caller showed into a principal."""

    async def authenticate(self, caller: Caller) -> Principal:
        """From the Authorization header, the X-API-Key header, or the session cookie (with CSRF token and origin rule).

        Where the setting allows it, a loopback caller that shows nothing at all is the anonymous principal with events:write.
        Raises Unauthenticated, or NotAllowed for a cookie without its CSRF token.
        """
        ...

    async def authenticate_token(self, token: str) -> Principal:
        """From a bare access token or API key, as the first frame of a WebSocket carries it. Raises Unauthenticated."""
        ...
