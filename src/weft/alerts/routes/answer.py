"""The envelope of one thing."""

from typing import Generic, TypeVar

from pydantic import BaseModel

Body = TypeVar("Body")


class Answer(BaseModel, Generic[Body]):
    """One thing in StreamFlow's envelope."""

    success: bool = True
    message: str
    data: Body
