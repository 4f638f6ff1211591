"""A crew: the processes that one command runs on this machine, role by role, and where each listens."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from weft.app.plan import check_host, port_of, roles_of, service_of
from weft.app.reach import check_reach
from weft.app.roles import Role
from weft.app.settings import Settings
from weft.core.errors import Invalid

MOST: Final = 64
"""Processes of one kind; more than that on one machine is a slip of the finger."""
DOORS: Final = "ingestion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """Processes that play the same roles and listen on the same port."""

    roles: tuple[Role, ...]
    count: int
    port: int

    @property
    def service(self) -> str:
        """The name its processes answer with."""
        return service_of(self.roles)

    @property
    def label(self) -> str:
        """Its roles as one word."""
        return "+".join(role.name for role in self.roles)

    @property
    def owns_store(self) -> bool:
        """Whether it writes the store, and so stops last."""
        return any(role.owns_store for role in self.roles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """The kinds of processes, in the order in which they start; what owns the store starts first and stops last."""

    host: str
    kinds: tuple[Replicas, ...]

    @property
    def count(self) -> int:
        """How many processes there are."""
        return sum(kind.count for kind in self.kinds)

    @property
    def summary(self) -> str:
        """The crew in a few words."""
        told = (f"{kind.count} x {kind.label} on port {kind.port or '(a free one)'}" for kind in self.kinds)
        return f"{self.count} processes on {self.host}: {', '.join(told)}"


def make_crew(settings: Settings) -> Crew:
    """The crew that `app.processes` asks for. Raises Invalid, with one sentence, where it cannot work."""
    asked = _asked(settings.app.processes or "1", roles_of(settings.app.services))
    crew = Crew(
        host=settings.app.host,
        kinds=tuple(Replicas(roles=roles, count=count, port=port_of(settings, roles)) for roles, count in asked),
    )
    _check_ports(crew, settings)
    check_reach(settings, [kind.roles for kind in crew.kinds for _ in range(kind.count)])
    check_host(settings)
    return crew


def _asked(text: str, roles: tuple[Role, ...]) -> list[tuple[tuple[Role, ...], int]]:
    """Which roles share a process, and how many of those there are; a role that is not named has a process to itself."""
    counts: dict[tuple[Role, ...], int] = {}
    for names, count in _entries(text, roles):
        played = roles_of(tuple(names.split("+")))
        for role in played:
            if role not in roles:
                raise Invalid(f"--processes names {role.name}, which --service leaves out", field="app.processes")
            if any(role in others for others in counts):
                raise Invalid(f"--processes names {role.name} twice", field="app.processes")
        counts[played] = count
    for role in roles:
        if not any(role in played for played in counts):
            counts[role,] = 1
    return sorted(counts.items(), key=lambda item: roles.index(item[0][0]))


def _entries(text: str, roles: tuple[Role, ...]) -> Iterator[tuple[str, int]]:
    for entry in text.split(","):
        names, equals, number = entry.rpartition("=")
        count = int(number) if number.strip().isdecimal() else 0
        if not 1 <= count <= MOST or (equals and not names.strip()):
            raise Invalid(
                f"'{text}' does not say how many processes to run; write a number up to {MOST}, or 'ingestion=2,storage=1'",
                field="app.processes",
            )
        yield (names.strip() if equals else _counted(roles)), count


def _counted(roles: tuple[Role, ...]) -> str:
    """The role that a bare number counts: the doors, or the only role there is."""
    names = [role.name for role in roles]
    if len(names) > 1 and DOORS not in names:
        raise Invalid(
            f"a bare number counts {DOORS}, which --service leaves out; say which role, as in '{names[0]}=1'",
            field="app.processes",
        )
    return DOORS if DOORS in names else names[0]


def _check_ports(crew: Crew, settings: Settings) -> None:
    if settings.app.port and len(crew.kinds) > 1:
        raise Invalid(
            f"port {settings.app.port} is one port, and {', '.join(kind.label for kind in crew.kinds)} each need one; "
            "leave --port out and set app.ingestion_port and its like",
            field="app.port",
        )
    taken: dict[int, Replicas] = {}
    for kind in crew.kinds:
        other = taken.setdefault(kind.port, kind)
        if kind.port and other is not kind:
            raise Invalid(f"{other.label} and {kind.label} would both listen on port {kind.port}", field="app.port")
    metrics = settings.app.metrics_port
    if metrics and metrics + crew.count - 1 > 65535:
        raise Invalid(
            f"app.metrics_port {metrics} leaves no room for {crew.count} ports counting up from it", field="app.metrics_port"
        )
