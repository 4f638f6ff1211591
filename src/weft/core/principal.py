"""Who asks, and what they may do. Roles are named sets of scopes; a route names the one scope it needs."""

from enum import StrEnum
from typing import Final, Literal

import msgspec


class Scope(StrEnum):
    """One permission. `<noun>:<verb>`, the same text in tokens, API keys and the OpenAPI document."""

    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"
    EVENTS_ERASE = "events:erase"
    DEAD_LETTERS_REPLAY = "dead-letters:replay"
    VERDICT_READ = "verdict:read"
    QUERIES_READ = "queries:read"
    QUERIES_WRITE = "queries:write"
    ALERTS_READ = "alerts:read"
    ALERTS_HANDLE = "alerts:handle"
    RULES_WRITE = "rules:write"
    CHANNELS_MANAGE = "channels:manage"
    DASHBOARDS_WRITE = "dashboards:write"
    INVENTORY_READ = "inventory:read"
    INVENTORY_MANAGE = "inventory:manage"
    SECRETS_REVEAL = "secrets:reveal"
    IDENTIFIERS_READ = "identifiers:read"
    IDENTIFIERS_WRITE = "identifiers:write"
    KEYS_MANAGE = "keys:manage"
    USERS_MANAGE = "users:manage"
    AUDIT_READ = "audit:read"


class Role(StrEnum):
    """What a person is. A person has exactly one role; devices and programs use API keys with scopes instead."""

    USER = "user"
    OPERATOR = "operator"
    ADMIN = "admin"


_USER: Final = frozenset(
    {
        Scope.EVENTS_READ,
        Scope.EVENTS_WRITE,
        Scope.VERDICT_READ,
        Scope.QUERIES_READ,
        Scope.ALERTS_READ,
        Scope.DASHBOARDS_WRITE,
        Scope.INVENTORY_READ,
    }
)
_OPERATOR: Final = _USER | {
    Scope.DEAD_LETTERS_REPLAY,
    Scope.KEYS_MANAGE,
    Scope.QUERIES_WRITE,
    Scope.ALERTS_HANDLE,
    Scope.RULES_WRITE,
    Scope.CHANNELS_MANAGE,
    Scope.IDENTIFIERS_READ,
    Scope.IDENTIFIERS_WRITE,
}
SCOPES_OF: Final[dict[Role, frozenset[Scope]]] = {
    Role.USER: _USER,
    Role.OPERATOR: _OPERATOR,
    Role.ADMIN: frozenset(Scope),
}


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `id` is stable and safe to log; `role` is None for API keys and for the anonymous local client."""

    kind: Literal["user", "api_key", "anonymous"]
    id: str
    name: str
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    requests_per_minute: int | None = None
    """This principal's own rate limit; None means the limit of the door, 0 means none."""

    def may(self, scope: Scope) -> bool:
        """Whether this principal has the scope."""
        return scope in self.scopes
