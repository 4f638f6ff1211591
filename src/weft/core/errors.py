"""What can go wrong, as one tree. A caller decides by class, never by message.

WeftError
├── Refused                 the request is wrong; repeating it cannot help
│   ├── Malformed           not readable at all, or parameters that contradict each other
│   ├── Invalid             readable, but a value is wrong; says which field and what would be right
│   ├── Unauthenticated     who are you?
│   ├── NotAllowed          known, but not permitted
│   ├── NotFound
│   │   └── Gone            it was there, and was withdrawn; says why
│   ├── Conflict            true at another moment, not now (taken name, changed version)
│   ├── TooLarge            over a stated limit
│   └── Unsupported         this adapter or this plan cannot do it
├── Unavailable             something we need is away; try again after `retry_after_s`
│   ├── TimedOut
│   └── StorageFull         the disk refuses new data; what was acknowledged is safe
├── Busy                    too much at once; try again after `retry_after_s`
└── Corrupt                 data failed its own check: stop and say so

Messages name the thing, the value, the unit and the next step. The table from class to HTTP status is in `weft.api.errors`.
"""

from typing import Any


class WeftError(Exception):
    """Root of every error Weft raises on purpose.

    `details` holds what a program needs to react (field, allowed values, limit); it is shown to clients.
    """

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details


class Refused(WeftError):
    """The request is wrong; repeating it cannot help."""


class Malformed(Refused):
    """Not readable at all, or parameters that contradict each other."""


class Invalid(Refused):
    """Readable, but a value is wrong. `field` names it."""

    def __init__(self, message: str, *, field: str | None = None, **details: Any) -> None:
        if field is not None:
            details = {"field": field, **details}
        super().__init__(message, **details)
        self.field = field


class Unauthenticated(Refused):
    """No proof, or no longer valid proof, of who asks."""


class NotAllowed(Refused):
    """Known, but not permitted."""


class NotFound(Refused):
    """There is no such thing."""


class Gone(NotFound):
    """It was there, and was withdrawn for good. The message says why."""


class Conflict(Refused):
    """True at another moment, not now: a taken name, a changed version, a lock somebody holds."""


class TooLarge(Refused):
    """Over a stated limit; `details` carries `limit` and its unit."""


class Unsupported(Refused):
    """This adapter or this plan cannot do it."""


class Unavailable(WeftError):
    """Something we need is away. Trying again after `retry_after_s` seconds makes sense."""

    def __init__(self, message: str, *, retry_after_s: int = 5, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after_s = retry_after_s


class TimedOut(Unavailable):
    """An answer did not come in time; whether the work was done is unknown."""


class StorageFull(Unavailable):
    """The disk refuses new data. What was acknowledged is safe."""


class Busy(WeftError):
    """Too much at once. Trying again after `retry_after_s` seconds makes sense."""

    def __init__(self, message: str, *, retry_after_s: int = 1, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after_s = retry_after_s


class Corrupt(WeftError):
    """Data failed its own check. `details` names the place."""
