"""Settings of identifiers."""

import re
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from weft.identifiers.ark import MAX_CHECKED_CHARS

TEST_NAAN: Final = "99999"
"""The NAAN that anybody may use for trying; what is minted under it is not persistent."""

_PATH: Final = re.compile(r"/[A-Za-z0-9][A-Za-z0-9_.~\-/]*(?:\{(?:id|name|suffix)\}[A-Za-z0-9_.~\-/]*)*")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def _own_path(path: str) -> str:
    if not _PATH.fullmatch(path) or "//" in path:
        raise ValueError(
            "a landing page is a path of this installation, such as /files/{id}; {id}, {name} and {suffix} are filled in"
        )
    return path


def _address(url: str) -> str:
    parts = urlsplit(url)
    plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or parts.username or not (plain or parts.scheme == "https"):
        raise ValueError("an agency is reached by https://…, without a name or password in the address")
    return url.rstrip("/")


LandingPath = Annotated[str, AfterValidator(_own_path)]
AgencyUrl = Annotated[str, AfterValidator(_address)]


class DoiSettings(BaseModel):
    """How DOIs are made, and registered at DataCite."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: str | None = Field(
        default=None,
        max_length=64,
        pattern=r"^10\.[0-9]{4,9}(\.[0-9]+)*$",
        description="Prefix of DOIs. Empty: no DOIs are made.",
    )
    api_url: AgencyUrl = Field(
        default="https://api.test.datacite.org",
        description="Address of DataCite's REST API; https://api.datacite.org for DOIs that count.",
    )
    repository: str = Field(default="", max_length=128, description="Repository account at DataCite.")
    password: SecretStr | None = Field(default=None, description="Its password.")
    publisher: str = Field(default="", max_length=255, description="Publisher of what has a DOI and names none itself.")


class HandleSettings(BaseModel):
    """How Handles are made, and registered at the site's Handle server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: str | None = Field(
        default=None,
        max_length=64,
        pattern=r"^[0-9A-Za-z]+(\.[0-9A-Za-z]+)*$",
        description="Prefix of Handles. Empty: none are made.",
    )
    server_url: AgencyUrl | None = Field(
        default=None, description="Address of the Handle server, such as https://hdl.lab.org:8000."
    )
    username: str = Field(
        default="", max_length=255, description="Who changes Handles there: index and handle, such as 300:21.T12345/USER01."
    )
    password: SecretStr | None = Field(default=None, description="The secret key of that index.")


class IdentifiersSettings(BaseModel):
    """How names are made, where they lead, and how agencies are asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default_scheme: Literal["ark", "doi", "handle"] = Field(
        default="ark", description="What is minted where nobody says which: ark, doi or handle."
    )
    naan: str = Field(
        default=TEST_NAAN,
        pattern=r"^[0-9][0-9bcdfghjkmnpqrstvwxz]{4,8}$",
        description="Name Assigning Authority Number of ARKs, free from the ARK Alliance. 99999 is for trying: nothing "
        "under it is persistent.",
    )
    shoulder: str = Field(
        default="fk4",
        pattern=r"^[bcdfghjkmnpqrstvwxz]{1,7}[0-9]$",
        description="What every name of this installation begins with: betanumeric letters and one digit.",
    )
    blade_chars: int = Field(default=8, ge=6, le=16, description="Random characters of a name, without the check character.")
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="Address under which the world reaches this installation, where agencies lead. DOIs and Handles need it.",
    )
    landing: dict[str, LandingPath] = Field(
        default={},
        description="Page a name leads to, by the kind of what it names: {file: '/files/{id}'}. Only paths of this "
        "installation. A kind without one gets its description instead.",
    )
    commitment: str = Field(
        default="",
        max_length=1000,
        description="What this installation promises about its names, shown by ?info.",
    )
    doi: DoiSettings = DoiSettings()
    handle: HandleSettings = HandleSettings()
    timeout_s: float = Field(default=15.0, gt=0, le=120, description="How long an agency may take for one answer (seconds).")
    first_retry_s: float = Field(
        default=5.0, gt=0, le=600, description="Wait after an agency was away once; it doubles each further time (seconds)."
    )
    longest_retry_s: float = Field(default=1800.0, ge=1, le=86_400, description="Longest wait between two tries (seconds).")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        chars = len(self.naan) + 1 + len(self.shoulder) + self.blade_chars + 1
        if chars > MAX_CHECKED_CHARS:
            raise ValueError(
                f"NAAN, shoulder, {self.blade_chars} random characters and the check character come to {chars}; beyond "
                f"{MAX_CHECKED_CHARS} a check character no longer finds every slip"
            )
        for scheme, prefix in (("doi", self.doi.prefix), ("handle", self.handle.prefix)):
            if prefix is None and self.default_scheme == scheme:
                raise ValueError(
                    f"{scheme}.prefix is needed where default_scheme is {scheme}; without one nothing could get a name"
                )
            if prefix is not None and self.public_url is None:
                raise ValueError(f"public_url is needed for {scheme}.prefix: the agency has to be told where a name leads")
        if self.handle.prefix is not None and self.handle.server_url is None:
            raise ValueError("handle.server_url is needed for handle.prefix")
        return self
