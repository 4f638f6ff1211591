"""The plan: which roles this process plays and where it listens. A plan that cannot work is refused with a sentence."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from weft.app.reach import check_reach
from weft.app.resources import Needs, log_folder
from weft.app.roles import ROLES, Role
from weft.app.settings import Settings
from weft.core.errors import Invalid, Unavailable

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
    """The plan the settings ask for. Raises Invalid, with one sentence, where it cannot work, and Unsupported where it needs
    a package that is not installed."""
    roles = roles_of(settings.app.services)
    plan = Plan(
        roles=roles,
        host=settings.app.host,
        port=port_of(settings, roles),
        needs=Needs(
            service=service_of(roles),
            appends=any(role.appends for role in roles),
            owns_store=any(role.owns_store for role in roles),
        ),
    )
    check_reach(settings, [roles])
    check_host(settings)
    return plan


def roles_of(names: tuple[str, ...]) -> tuple[Role, ...]:
    """The roles of these names, in the order in which they start. Raises Invalid for a name that is none."""
    known = {role.name: role for role in ROLES}
    wanted: set[str] = set()
    for name in (part.strip() for entry in names for part in entry.split(",")):
        if name == "all":
            wanted.update(known)
        elif name in known:
            wanted.add(name)
        else:
            raise Invalid(f"there is no role '{name}'; there are all, {', '.join(known)}", field="service")
    return tuple(role for role in ROLES if role.name in wanted)


def service_of(roles: tuple[Role, ...]) -> str:
    """The name a process answers with."""
    return roles[0].name if len(roles) == 1 else TOGETHER_NAME


def port_of(settings: Settings, roles: tuple[Role, ...]) -> int:
    """Where a process that plays these roles listens."""
    if settings.app.port is not None:
        return settings.app.port
    return roles[0].port(settings.app) if len(roles) == 1 else TOGETHER_PORT


def check_log_is_there(plan: Plan, settings: Settings) -> None:
    """Raises Unavailable where a process that only reads an embedded log would be the first on it."""
    folder = log_folder(settings.app)
    if plan.needs.appends or folder is None or folder.is_dir():
        return
    makers = [role.name for role in ROLES if role.appends]
    raise Unavailable(
        f"there is no log at {folder} yet, and {' and '.join(plan.role_names)} can only read one; start {' or '.join(makers)} "
        f"first, as with `weft start --service {makers[0]}`"
    )


def check_host(settings: Settings) -> None:
    """Raises Invalid where other machines would be let in through open doors."""
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
