"""The body of a query as OpenAPI shows it. What it says is checked by `weft.stream.query`, for every door alike."""

from pydantic import BaseModel, ConfigDict, Field

from weft.core.errors import Invalid
from weft.stream.query import Query, read_query

_TEXT = 2_000


class QueryBody(BaseModel):
    """A continuous query."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [
        {"name": "hot-rooms", "from": "events", "where": "type == 'custom'", "key": ["data.room"], "window": "1m",
         "select": {"temperature": "avg(temperature)"}, "having": "temperature > 30"}
    ]})  # fmt: skip

    name: str | None = Field(default=None, max_length=100, description="Its name; results go to `analytics.<name>`.")
    topic: str = Field(alias="from", max_length=128, description="The topic it reads.")
    where: str | None = Field(default=None, max_length=_TEXT, description="Which events count.")
    key: list[str] | str | None = Field(default=None, description="What results are told apart by, such as `source`.")
    window: str | dict[str, str] = Field(description="`5m`, `{sliding: 10m, slide: 1m}` or `{session: 30s}`.")
    lateness: str | None = Field(default=None, max_length=16, description="How long after its end a window takes late events.")
    select: dict[str, str] = Field(description="A name for each aggregate, such as `{errors: count where type == 'error'}`.")
    having: str | None = Field(default=None, max_length=_TEXT, description="Which results are told, by the names in `select`.")
    emit: str | None = Field(default=None, max_length=16, description="`final`, or `revisions` as late events change a result.")
    every: str | None = Field(default=None, max_length=16, description="How often windows that are still open are answered.")
    start: str | None = Field(default=None, max_length=16, description="`latest`, or `earliest`: from the log's beginning on.")
    description: str | None = Field(default=None, max_length=_TEXT, description="What it is for.")

    def check_name(self, name: str) -> None:
        """Take the name of the path. Raises Invalid where the body says another one."""
        if self.name not in {None, name}:
            raise Invalid(f"the body says '{self.name}', the path '{name}'; a query keeps its name", field="name")
        self.name = name

    def query(self) -> Query:
        """The query. Raises Invalid that names the field which is wrong."""
        return read_query(self.model_dump(by_alias=True, exclude_none=True))
