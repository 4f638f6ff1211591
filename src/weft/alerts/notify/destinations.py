"""Where outgoing connections may go. A name is looked up once, each address is checked, and only a checked one is connected to.

Nobody can make this installation call its own services or a cloud's metadata by naming them: link-local and such addresses
are never allowed, loopback only in development or where the machine's own settings name it, private ones only where they are
named.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from weft.core.errors import Invalid, NotAllowed, Unavailable

Address = IPv4Address | IPv6Address

_SETTING: Final = "alerts.notify.allowed_hosts"
_NEVER: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "224.0.0.0/4", "240.0.0.0/4",
        "::/128", "fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::254/128", "fd20:ce::254/128",
    )
)  # fmt: skip
"""Link-local and metadata addresses of clouds, multicast, and what is no address of anybody."""
_EMBEDS_IPV4: Final = ip_network("64:ff9b::/96")


class Destinations:
    """The rule of one installation. Without any allowed host, development may connect anywhere and production nowhere."""

    def __init__(self, allowed: Sequence[str], *, environment: str) -> None:
        self._is_development = environment == "development"
        self._anywhere = self._is_development and not allowed
        self._names: set[str] = set()
        self._suffixes: list[str] = []
        self._networks: list[IPv4Network | IPv6Network] = []
        self._services: set[str] = set()
        self._public = "*" in allowed
        for entry in allowed:
            self._read(entry.strip().lower())

    def _read(self, entry: str) -> None:
        if entry == "*":
            return
        try:
            self._networks.append(ip_network(entry, strict=False))
        except ValueError:
            if entry.startswith("*.") and len(entry) > 2:
                self._suffixes.append(entry[1:])
            elif entry.endswith("://") and entry[:-3].isalnum():
                self._services.add(entry[:-3])
            elif entry and not set(entry) & set("*/: "):
                self._names.add(entry)
            else:
                raise Invalid(
                    f"{_SETTING} holds '{entry}', which is no host, no *.domain, no network and no service://", field=_SETTING
                ) from None

    def check_host(self, host: str, *, field: str) -> None:
        """Raises Invalid where a host can be refused without looking it up."""
        literal = _literal(host)
        if literal is not None:
            if not self._may_reach(host, literal):
                raise Invalid(self._refusal(host, literal), field=field, host=host)
        elif not (self._anywhere or self._public or self._networks or self._is_named(host)):
            raise Invalid(self._refusal(host, None), field=field, host=host)

    def check_service(self, scheme: str, *, field: str) -> None:
        """Raises Invalid where a service that lives at addresses of its own may not be used."""
        if not (self._anywhere or self._public or scheme in self._services):
            raise Invalid(
                f"nothing may be sent to {scheme}://; whoever runs this installation can allow it with {_SETTING}",
                field=field,
                service=scheme,
            )

    async def find(self, host: str, port: int) -> str:
        """An address of the host that may be connected to. Raises NotAllowed where none may, Unavailable where it has none."""
        literal = _literal(host)
        found = [literal] if literal is not None else await _look_up(host, port)
        allowed = [address for address in found if self._may_reach(host, address)]
        if not allowed:
            raise NotAllowed(self._refusal(host, found[0]), host=host)
        return str(allowed[0])

    def _may_reach(self, host: str, address: Address) -> bool:
        address = _plain(address)
        if any(address in network for network in _NEVER if network.version == address.version):
            return False
        listed = any(address in network for network in self._networks if network.version == address.version)
        if address.is_loopback:
            return self._anywhere or listed or (host.lower() == "localhost" and "localhost" in self._names)
        if self._anywhere or listed or self._is_named(host):
            return True
        return self._public and address.is_global

    def _is_named(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        return name in self._names or any(name.endswith(suffix) for suffix in self._suffixes)

    def _refusal(self, host: str, address: Address | None) -> str:
        where = host if address is None or str(address) == host else f"{host} ({address})"
        if address is not None and any(_plain(address) in net for net in _NEVER if net.version == _plain(address).version):
            return f"nothing is sent to {where}: it is a link-local, metadata or multicast address"
        return f"nothing may be sent to {where}; whoever runs this installation can allow it with {_SETTING}"


async def _look_up(host: str, port: int) -> list[Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as unknown:
        raise Unavailable(
            f"the name {host} is not found: {getattr(unknown, 'strerror', None) or 'no such name'}", retry_after_s=0
        ) from unknown
    if not found:
        raise Unavailable(f"the name {host} has no address", retry_after_s=0)
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _literal(host: str) -> Address | None:
    """The address a host is, in the usual writing; other ways to write a number are names, which nobody has."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where it holds one."""
    if isinstance(address, IPv4Address):
        return address
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and address in _EMBEDS_IPV4:
        inside = IPv4Address(int(address) & 0xFFFF_FFFF)
    return inside or address
