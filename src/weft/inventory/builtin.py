"""The built-in hooks: what each is for, and what its config says."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from weft.core.errors import Invalid
from weft.inventory.name import read_inside

Trigger = Literal["pre_transfer", "post_transfer"]

_MOST: Final = 200


def _read_expression(text: str) -> str:
    try:
        found = re.compile(text)
    except (re.error, OverflowError, RecursionError) as unreadable:
        raise ValueError(f"this regular expression cannot be read: {unreadable}") from unreadable
    if not found.groupindex:
        raise ValueError("the expression has to name a group, as in (?P<sample>[^_]+)")
    return text


Pattern = Annotated[str, Field(min_length=1, max_length=1024, description="As in a shell: * and ? and [a-z].")]
Patterns = Annotated[list[Pattern], Field(max_length=_MOST)]
Expression = Annotated[
    str,
    Field(min_length=1, max_length=1024, description="A regular expression; its named groups become metadata."),
    AfterValidator(_read_expression),
]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Redirect(_Config):
    """Where files go that fit a pattern."""

    pattern: Pattern
    destination: Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(read_inside)]


class FileFilter(_Config):
    """Which files are left out, and which go elsewhere. A redirect comes before an exclude."""

    include_patterns: Patterns = []
    exclude_patterns: Patterns = []
    min_size_bytes: int | None = Field(default=None, ge=0, description="Smaller files are left out.")
    redirect_rules: list[Redirect] = Field(default=[], max_length=_MOST)

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.include_patterns or self.exclude_patterns or self.redirect_rules or self.min_size_bytes):
            raise ValueError("a filter without patterns, sizes and redirects does nothing")
        return self


class MetadataRule(_Config):
    """What is read out of a name."""

    pattern: Expression
    source: Literal["path", "filename"] = "path"


class MetadataEnrichment(_Config):
    """Metadata out of names of files and folders."""

    rules: list[MetadataRule] = Field(min_length=1, max_length=_MOST)


class Grant(_Config):
    """Who may see the file: named by a metadata key (e-mail, group or project), or by its id."""

    grantee_type: Literal["user", "group", "project"]
    match_field: str = Field(
        min_length=1, max_length=255, description="The metadata key whose value names the grantee, or the grantee's id."
    )
    source: Literal["metadata", "literal"] = "metadata"

    @model_validator(mode="after")
    def _is_an_id(self) -> Self:
        if self.source == "literal":
            try:
                UUID(self.match_field)
            except ValueError:
                raise ValueError("with source 'literal' match_field is the id of the grantee, a UUID") from None
        return self


class AccessAssignment(_Config):
    """Who may see what was transferred."""

    grants: list[Grant] = Field(min_length=1, max_length=_MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    """A hook that comes with Weft. `trigger` says when it can be used."""

    name: str
    display_name: str
    description: str
    trigger: Literal["pre", "post", "both"]
    config: type[BaseModel]

    def fits(self, trigger: Trigger) -> bool:
        """Whether it can be used then."""
        return self.trigger == "both" or trigger.startswith(self.trigger)


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin(
            name="file_filter",
            display_name="File filter",
            description="Leaves files out, or sends them elsewhere, by their names and sizes.",
            trigger="pre",
            config=FileFilter,
        ),
        Builtin(
            name="metadata_enrichment",
            display_name="Metadata enrichment",
            description="Reads metadata out of the names of files and folders.",
            trigger="post",
            config=MetadataEnrichment,
        ),
        Builtin(
            name="access_assignment",
            display_name="Access assignment",
            description="Lets users, groups or projects see what was transferred.",
            trigger="post",
            config=AccessAssignment,
        ),
    )
}


def check_builtin(name: str, trigger: Trigger, config: dict[str, Any] | None) -> None:
    """Raise Invalid, naming the field, where there is no such built-in, or not then, or its config is wrong."""
    builtin = BUILTINS.get(name)
    if builtin is None:
        raise Invalid(f"no built-in hook is called '{name[:64]}'", field="builtin_name", allowed_values=[*BUILTINS])
    if not builtin.fits(trigger):
        raise Invalid(f"'{name}' is a hook for {builtin.trigger}_transfer", field="trigger")
    try:
        builtin.config.model_validate(config or {})
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        place = ".".join(str(part) for part in ("config", *first["loc"]))
        raise Invalid(f"{place}: {first['msg']}", field=place) from wrong
