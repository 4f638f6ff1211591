"""The plan: which roles this process plays and where it listens. A plan that cannot work is refused with a sentence."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from weft.app.resources import Needs, log_url, store_url
from weft.app.roles import LATER, ROLES, Role
from weft.app.settings import Settings
from weft.core.adapters import load_adapter
from weft.core.errors import Invalid

TOGETHER_PORT: Final = 8000
TOGETHER_NAME: Final = "weft"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one process is going to be."""

    roles: tuple[Role, ...]
    host: str
    port: int
    needs: Needs

    @property
    def role_names(self) -> tuple[str, ...]:
        """The roles by name."""
        return tuple(role.name for role in self.roles)

    @property
    def summary(self) -> str:
        """The plan in a few words."""
        return f"{', '.join(self.role_names)} on {self.host} port {self.port or '(a free one)'}"


def make_plan(settings: Settings) -> Plan:
    """The plan the settings ask for. Raises Invalid, with one sentence, where it cannot work."""
    roles = _roles(settings.app.services)
    plan = Plan(
        roles=roles,
        host=settings.app.host,
        port=_port(settings, roles),
        needs=Needs(
            service=roles[0].name if len(roles) == 1 else TOGETHER_NAME,
            appends=any(role.appends for role in roles),
            owns_store=any(role.owns_store for role in roles),
        ),
    )
    _check_reach(plan, settings)
    _check_host(settings)
    return plan


def _roles(names: tuple[str, ...]) -> tuple[Role, ...]:
    known = {role.name: role for role in ROLES}
    wanted: set[str] = set()
    for name in (part for entry in names for part in entry.split(",")):
        if name == "all":
            wanted.update(known)
        elif name in known:
            wanted.add(name)
        elif name in LATER:
            raise Invalid(f"the role '{name}' comes with a later version; this one has {', '.join(known)}", field="service")
        else:
            raise Invalid(f"there is no role '{name}'; there are all, {', '.join(known)}", field="service")
    return tuple(role for role in ROLES if role.name in wanted)


def _port(settings: Settings, roles: tuple[Role, ...]) -> int:
    if settings.app.port is not None:
        return settings.app.port
    return roles[0].port(settings.app) if len(roles) == 1 else TOGETHER_PORT


def _check_reach(plan: Plan, settings: Settings) -> None:
    if len(plan.roles) == len(ROLES):
        return
    for port, url in (("log", log_url(settings.app)), ("store", store_url(settings.app))):
        if load_adapter(port, url).reach == "process":
            raise Invalid(
                f"{port}s of the kind '{url.partition('://')[0]}' live in one process, so roles cannot run apart on it; "
                f"start all roles together or choose another {port}",
                field="service",
            )


def _check_host(settings: Settings) -> None:
    if is_loopback(settings.app.host) or settings.app.environment != "development":
        return
    raise Invalid(
        f"host {settings.app.host} would let other machines in while the environment is development, where doors are open; "
        "set ENVIRONMENT=production and a secret (WEFT_AUTH__SECRET_KEY), or listen on 127.0.0.1",
        field="app.host",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
