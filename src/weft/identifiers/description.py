"""What is said about a thing that has a name: who, what, when, and what an agency wants to know beside."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from weft.core.errors import Invalid

_YEAR: Final = re.compile(r"^([0-9]{4})(?:-|$)")


def _line(text: str) -> str:
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    if not line:
        raise ValueError("it is empty")
    return line


Line = Annotated[str, Field(max_length=512), AfterValidator(_line)]
ResourceType = Literal["Collection", "Dataset", "Image", "Instrument", "Other", "PhysicalObject", "Software", "Sound", "Text"]


class Description(BaseModel):
    """The four questions of an ERC record, and the few further ones of DataCite's kernel. All texts are one line each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    who: tuple[Line, ...] = Field(default=(), max_length=100, description="Persons or bodies that made it.")
    what: Line = Field(description="Its title, or the name of the file.")
    when: str | None = Field(
        default=None,
        max_length=64,
        pattern=r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2}([T ][0-9:.]{4,15}(Z|[+-][0-9]{2}:?[0-9]{2})?)?)?)?$",
        description="Year, month, day or moment it was made (ISO 8601).",
    )
    resource_type: ResourceType = Field(default="Dataset", description="What kind of thing it is, in DataCite's words.")
    publisher: Line | None = Field(default=None, description="Who publishes it; by default the one of the settings.")
    parts: tuple[Line, ...] = Field(
        default=(), max_length=1000, description="Names of what it is made of, such as the ARKs of files."
    )

    @property
    def year(self) -> int | None:
        """The year it was made."""
        found = _YEAR.match(self.when or "")
        return int(found[1]) if found else None


def check_fit_for_doi(description: Description, publisher: str) -> None:
    """Raises Invalid, naming the field, for what DataCite would refuse, before anything was promised."""
    missing = {
        "who": not description.who,
        "when": description.year is None,
        "publisher": not (description.publisher or publisher),
    }
    for field, is_missing in missing.items():
        if is_missing:
            raise Invalid(f"a DOI that is to be public needs metadata.{field}", field=f"metadata.{field}")
