"""What things are called, and where they are, as people write it. What could leave a folder or a command is refused.

Every function gives the text in the form it is kept in, or raises ValueError with what is wrong.
"""

import re
import unicodedata
from ipaddress import ip_address
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

MOST_FOLDER_BYTES: Final = 255

_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?\.?")
_NO_FOLDER: Final = frozenset('/\\<>:"|?*')
_DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


def key_of(name: str) -> str:
    """A name as names are compared: two that differ in case or in how an accent is written are one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())


def read_name(text: str) -> str:
    """A name: on one line, with something to see at both ends."""
    name = unicodedata.normalize("NFC", text)
    if name != name.strip() or not name.isprintable():
        raise ValueError("a name is one line without spaces at its ends")
    return name


def read_folder(text: str) -> str:
    """A name that is the name of a folder too, wherever that is: it never leads out of the folder it is in."""
    name = read_name(text)
    if bad := sorted(_NO_FOLDER.intersection(name)):
        raise ValueError(f"a folder gets this name, so it cannot hold {' '.join(bad)}")
    if name.strip(".") != name or _DEVICE.fullmatch(name):
        raise ValueError("a folder gets this name, so it cannot begin or end with a dot, nor be the name of a device")
    if len(name.encode()) > MOST_FOLDER_BYTES:
        raise ValueError(f"a folder gets this name, so it has at most {MOST_FOLDER_BYTES} bytes")
    return name


def read_host(text: str) -> str:
    """A host by name or address."""
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    if not _HOST.fullmatch(text) or ".." in text:
        raise ValueError("this is neither the name of a host nor an address")
    return text


def read_share(text: str) -> str:
    """The name of a share."""
    if not text.isprintable() or text.strip(" .") == "" or _NO_FOLDER.intersection(text):
        raise ValueError('a share is one name without / \\ < > : " | ? *')
    return text


def read_inside(text: str) -> str:
    """A path below a folder."""
    if not text.isprintable():
        raise ValueError("a path has no control characters")
    if ".." in re.split(r"[/\\]", text):
        raise ValueError("a path cannot lead upwards ('..')")
    return text


def read_absolute(text: str) -> str:
    """A path from the root on."""
    if not read_inside(text).startswith("/"):
        raise ValueError("the path has to begin with /")
    return text


def read_line(text: str) -> str:
    """Text without control characters."""
    if not text.isprintable():
        raise ValueError("there cannot be control characters in it")
    return text


def read_prose(text: str) -> str:
    """Text of several lines."""
    if "\x00" in text:
        raise ValueError("there cannot be a NUL in it")
    return text


def _none_for_nothing(value: object) -> object:
    return None if value == "" else value


Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(read_name)]
FolderName = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(read_folder)]
Host = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(read_host)]
Share = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(read_share)]
Inside = Annotated[str, Field(max_length=1024), AfterValidator(read_inside)]
Absolute = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(read_absolute)]
Line = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(read_line)]
Prose = Annotated[str, Field(max_length=10_000), AfterValidator(read_prose)]
Empty = BeforeValidator(_none_for_nothing)
"""For a field that may be left out: StreamWeave's forms send an empty text then."""
Port = Annotated[int, Field(ge=1, le=65535)]
