"""What every route of the room is handed."""

from typing import Annotated, cast

from fastapi import Depends, Request

from weft.identifiers.parts import IdentifierParts


def identifier_parts(request: Request) -> IdentifierParts:
    """What makes, resolves and registers names in this application."""
    return cast("IdentifierParts", request.app.state.identifiers)


Parts = Annotated[IdentifierParts, Depends(identifier_parts)]
