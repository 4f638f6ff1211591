"""The question in a WebSocket's address, checked like that of any other route."""

from collections.abc import Collection
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.websockets import WebSocket

from weft.core.errors import Invalid
from weft.query.parameters import Topic

Question = TypeVar("Question", bound=BaseModel)

_TOPIC: TypeAdapter[str] = TypeAdapter(Topic)


def question_of(websocket: WebSocket, shape: type[Question], several: Collection[str] = ()) -> Question:
    """The parameters as `shape`; those in `several` may be repeated. Raises Invalid."""
    given = websocket.query_params
    asked = {name: given.getlist(name) if name in several else given[name] for name in given}
    try:
        return shape.model_validate(asked)
    except ValidationError as wrong:
        raise _invalid(wrong) from wrong


def topic_of(websocket: WebSocket) -> str:
    """The topic in the path. Raises Invalid."""
    try:
        return _TOPIC.validate_python(websocket.path_params["topic"])
    except ValidationError as wrong:
        raise _invalid(wrong) from wrong


def _invalid(wrong: ValidationError) -> Invalid:
    first = wrong.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "topic"
    return Invalid(f"{field}: {first['msg']}", field=field)
