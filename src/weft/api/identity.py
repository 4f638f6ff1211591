"""Who stands behind a WebSocket: shown by the handshake's headers or by an auth frame, and looked at again while it is open."""

from starlette.websockets import WebSocket

from weft.api.caller import Authenticator, Caller
from weft.api.exchange import Exchange, HeaderView
from weft.api.frame import Frame
from weft.api.origins import Origins
from weft.core.errors import NotAllowed, Unauthenticated
from weft.core.principal import Principal, Scope


class Identity:
    """The proof one connection gave, and the scopes it has to have: none at first where being known is enough."""

    def __init__(
        self, websocket: WebSocket, exchange: Exchange, scope: Scope | None, *, authenticator: Authenticator, origins: Origins
    ) -> None:
        headers: dict[bytes, bytes] = dict(websocket.scope["headers"])
        self._is_at_home = origins.is_at_home(headers.get(b"origin"), headers.get(b"host", b""))
        if not self._is_at_home:
            headers.pop(b"cookie", None)  # a page of another origin may sign in by token, never ride on a session
        self._shows_proof = b"authorization" in headers or b"x-api-key" in headers
        self._caller = Caller(headers=HeaderView(headers), client_ip=exchange.client_ip, method="GET", is_websocket=True)
        self._exchange = exchange
        self._scopes = set[Scope]() if scope is None else {scope}
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
        if principal.kind == "anonymous" and not (self._is_at_home and self._scopes and self._scopes <= principal.scopes):
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

    def demand(self, scope: Scope) -> None:
        """Need one scope more from here on, for what the client asks now. Raises NotAllowed where it does not have it."""
        principal = self._exchange.principal
        if principal is None or not principal.may(scope):
            raise _lacking(scope)
        self._scopes.add(scope)

    def _permitted(self, principal: Principal) -> Principal:
        for scope in sorted(self._scopes - principal.scopes):
            raise _lacking(scope)
        return principal


def _lacking(scope: Scope) -> NotAllowed:
    return NotAllowed(f"this needs the scope {scope.value}", scope=scope.value)
