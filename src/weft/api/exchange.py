"""Exchange: one request and its answer, as the edge sees it. Routes reach it through `exchange_of`."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import HTTPConnection

from weft.api.caller import Caller
from weft.api.settings import Network
from weft.core.principal import Principal

if TYPE_CHECKING:
    from weft.api.rate_limit import RateLimits

SCOPE_KEY = "weft.exchange"
ROUTE_KEY = "weft.route"
"""Where the edge leaves the template of the route that served a request, for who stands outside of it."""


class Exchange(msgspec.Struct, kw_only=True):
    """What the edge knows of a request, and what a route may add: who asked, and headers for the answer."""

    correlation_id: str
    client_ip: str
    rate_limits: "RateLimits | None" = None
    principal: Principal | None = None
    headers: list[tuple[bytes, bytes]] = []
    send: Callable[[Any], Awaitable[None]] | None = None
    """The server's own send of a WebSocket, for frames that are the same for many."""


def exchange_of(connection: HTTPConnection) -> Exchange:
    """The exchange this request or WebSocket belongs to. An application without the edge in front gets a plain one."""
    known = connection.scope.get(SCOPE_KEY)
    if isinstance(known, Exchange):
        return known
    peer = connection.client
    return Exchange(correlation_id="", client_ip=peer.host if peer else "")


def caller_of(connection: HTTPConnection) -> Caller:
    """What is known of the caller of a request or WebSocket, for the `Authenticator`."""
    scope = connection.scope
    return Caller(
        headers=HeaderView(dict(scope["headers"])),
        client_ip=exchange_of(connection).client_ip,
        method=scope.get("method", "GET"),
        is_websocket=scope["type"] == "websocket",
    )


class HeaderView(Mapping[str, str]):
    """Raw headers seen as text, decoded only when looked at."""

    __slots__ = ("_raw",)

    def __init__(self, raw: dict[bytes, bytes]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        return self._raw[name.encode("latin-1")].decode("latin-1")

    def get(self, key: str, default: Any = None) -> Any:
        found = self._raw.get(key.encode("latin-1"))
        return default if found is None else found.decode("latin-1")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.encode("latin-1", "replace") in self._raw

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def client_ip_of(peer: str, forwarded_for: bytes | None, trusted: tuple[Network, ...]) -> str:
    """The client's address: the peer, unless that is a trusted proxy; then the right-most hop that is none."""
    if forwarded_for is None or not is_trusted(peer, trusted):
        return peer
    hops = [hop.strip() for hop in forwarded_for.decode("latin-1").split(",")]
    for hop in reversed(hops):
        address = _address(hop)
        if address is None:
            return peer  # a proxy we trust wrote something we cannot read: believe nothing beyond it
        if not is_trusted(address, trusted):
            return address
        peer = address
    return peer


@lru_cache(maxsize=4096)
def plain_address(text: str) -> str:
    """An IPv4 address as such, also where a socket for both families shows it as `::ffff:192.0.2.1`."""
    try:
        address = ip_address(text)
    except ValueError:
        return text
    return str(address.ipv4_mapped if isinstance(address, IPv6Address) and address.ipv4_mapped else address)


def is_trusted(text: str, trusted: tuple[Network, ...]) -> bool:
    """Whether an address is that of a trusted proxy."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in trusted)


def _address(hop: str) -> str | None:
    """The plain address of a hop such as `10.0.0.1:4711` or `[::1]:80`, or None where it is none."""
    bare = hop[1 : hop.index("]")] if hop.startswith("[") and "]" in hop else hop
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        ip_address(bare)
    except ValueError:
        return None
    return plain_address(bare)
