"""The exit codes. Scripts rely on them, so they never change meaning."""

from enum import IntEnum
from typing import Final

from weft.core import errors


class Exit(IntEnum):
    """What the program says when it ends."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_ALLOWED = 4
    NOT_FOUND = 5


HELP: Final = (
    "Exit codes: 0 done; 1 failed or not healthy; 2 wrong usage or configuration; 3 no server reached; "
    "4 not allowed; 5 not found."
)

_CODE_OF: Final = {
    errors.Unauthenticated: Exit.NOT_ALLOWED,
    errors.NotAllowed: Exit.NOT_ALLOWED,
    errors.NotFound: Exit.NOT_FOUND,
    errors.Malformed: Exit.USAGE,
    errors.Invalid: Exit.USAGE,
}


class Unreachable(errors.Unavailable):
    """No server answers where one was looked for."""


def code_of(error: errors.WeftError) -> Exit:
    """The exit code an error ends the program with."""
    if isinstance(error, Unreachable):
        return Exit.UNREACHABLE
    return next((_CODE_OF[family] for family in type(error).__mro__ if family in _CODE_OF), Exit.FAILED)
