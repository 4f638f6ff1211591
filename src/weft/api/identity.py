"""Who stands behind a WebSocket: shown by the handshake's headers or by an auth frame, and looked at again while it is open."""

from starlette.websockets import WebSocket

from weft.api.caller import Authenticator, Caller
from weft.api.exchange import Exchange, HeaderView
from weft.api.frame import Frame
from weft.api.origins import Origins
from weft.core.errors import NotAllowed, Unauthenticated
from weft.core.principal import Principal, Scope


class Identity:
    """The proof one connection gave, and the scope it has to have."""

    def __init__(
        self, websocket: WebSocket, exchange: Exchange, scope: Scope, *, authenticator: Authenticator, origins: Origins
    ) -> None:
        headers: dict[bytes, bytes] = dict(websocket.scope["headers"])
        self._is_at_home = origins.is_at_home(headers.get(b"origin"), headers.get(b"host", b""))
        if not self._is_at_home:
            headers.pop(b"cookie", None)  # a page of another origin may sign in by token, never ride on a session
        self._shows_proof = b"authorization" in headers or b"x-api-key" in headers
        self._caller = Caller(headers=HeaderView(headers), client_ip=exchange.client_ip, method="GET", is_websocket=True)
        self._exchange = exchange
        self._scope = scope
        self._authenticator = authenticator
        self._token: str | None = None

    async def look(self) -> bool:
        """Whether the handshake shows somebody. Raises Unauthenticated or NotAllowed for a proof that does not hold."""
        try:
            principal = await self._authenticator.authenticate(self._caller)
        except (Unauthenticated, NotAllowed):
            if self._shows_proof:
                raise
            return False
        if principal.kind == "anonymous" and not (self._is_at_home and principal.may(self._scope)):
            return False
        self._exchange.principal = self._permitted(principal)
        return True

    async def take(self, frame: Frame) -> None:
        """Take an auth frame: from here on the connection acts for the token's principal. Raises like `look`."""
        if frame.type != "auth" or not frame.token:
            raise Unauthenticated('say who you are first: {"type":"auth","token":"…"}')
        principal = await self._authenticator.authenticate_token(frame.token)
        self._exchange.principal = self._permitted(principal)
        self._token = frame.token

    async def look_again(self) -> None:
        """Whether the proof still holds: tokens expire, people log out, keys are withdrawn. Raises like `look`."""
        if self._token is not None:
            self._permitted(await self._authenticator.authenticate_token(self._token))
        elif not await self.look():
            raise Unauthenticated("the session this connection began with is over; sign in again")

    def _permitted(self, principal: Principal) -> Principal:
        if not principal.may(self._scope):
            raise NotAllowed(f"this needs the scope {self._scope.value}", scope=self._scope.value)
        return principal
