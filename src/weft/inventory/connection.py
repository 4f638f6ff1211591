"""How a location is reached: what each type needs, and which of it is secret."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from weft.core.errors import Invalid
from weft.inventory.name import Absolute, Empty, Host, Line, Port, Share, read_absolute, read_inside

LocationType = Literal["posix", "s3", "cifs", "nfs"]

SECRETS: Final = ("secret_access_key", "password")
"""Whatever the type, a value of this name is a secret."""
MOST_OPTIONS: Final = 50

_URL: Final = r"^https?://[^\s/?#@]+(?:/[^\s?#]*)?$"


def _one_word(text: str) -> str:
    if any(character.isspace() for character in text):
        raise ValueError("there cannot be spaces in it")
    return text


Url = Annotated[str, Field(pattern=_URL, max_length=1024)]
Word = Annotated[Line, AfterValidator(_one_word)]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class S3Config(_Config):
    """A bucket of S3, or of what speaks its protocol."""

    bucket: Word
    region: Word
    access_key_id: Word
    secret_access_key: Line
    endpoint_url: Annotated[Url | None, Empty] = None


class CifsConfig(_Config):
    """A share of Windows or Samba."""

    host: Host
    port: Port = 445
    share: Share
    username: Line
    password: Line
    domain: Annotated[Line | None, Empty] = None


class NfsConfig(_Config):
    """An export that is mounted at the location's `base_path`."""

    host: Host
    export_path: Absolute
    mount_options: Annotated[Line | None, Empty] = None


_MODELS: Final[dict[str, type[_Config]]] = {"s3": S3Config, "cifs": CifsConfig, "nfs": NfsConfig}


def read_connection(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """What was given, checked, with what is left out filled in. Raises Invalid, naming the field and never its value."""
    present = {name: value for name, value in given.items() if value is not None}
    if kind not in _MODELS:
        _check_free(present)
        return present
    try:
        return _MODELS[kind].model_validate(present).model_dump(exclude_none=True)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in ("connection_config", *first["loc"]))
        raise Invalid(f"{place}: {first['msg']}", field=place) from None  # the original error shows what was given


def check_base_path(kind: str, path: str) -> None:
    """Raise Invalid where a path cannot be the start of a location's paths."""
    try:
        (read_absolute if kind in {"posix", "nfs"} else read_inside)(path)
    except ValueError as wrong:
        raise Invalid(f"base_path: {wrong}", field="base_path") from wrong


def _check_free(given: dict[str, Any]) -> None:
    if len(given) > MOST_OPTIONS:
        raise Invalid(f"connection_config has at most {MOST_OPTIONS} keys", field="connection_config", limit=MOST_OPTIONS)
    for name in SECRETS:
        if name in given and not isinstance(given[name], str):
            raise Invalid(f"connection_config.{name} is a text", field=f"connection_config.{name}")
