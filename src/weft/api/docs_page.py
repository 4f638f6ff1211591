"""The page that shows the OpenAPI document to people, served from this program: it needs no internet."""

from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Response

router = APIRouter(include_in_schema=False)

_PAGE: Final = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Weft API</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui">This page needs JavaScript. The document itself is at <a href="/openapi.json">/openapi.json</a>.</div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# In a file of its own, because the content security policy runs no script that stands in the page.
_START: Final = b"""window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  persistAuthorization: false,
  filter: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
"""
_ASSETS: Final = {
    "swagger-ui-bundle.js": ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    "swagger-ui.css": ("swagger-ui.css", "text/css; charset=utf-8"),
    "favicon.png": ("favicon-32x32.png", "image/png"),
}
_A_DAY: Final = {"Cache-Control": "public, max-age=86400"}


@router.get("/docs")
@router.get("/swagger")
async def show_docs() -> Response:
    """The page."""
    return Response(_PAGE, media_type="text/html; charset=utf-8")


@router.get("/docs/start.js")
async def show_start() -> Response:
    """What the page runs."""
    return Response(_START, media_type="text/javascript; charset=utf-8", headers=_A_DAY)


@router.get("/docs/swagger-ui-bundle.js")
async def show_script() -> Response:
    """Swagger UI."""
    return _asset("swagger-ui-bundle.js")


@router.get("/docs/swagger-ui.css")
async def show_style() -> Response:
    """Swagger UI's looks."""
    return _asset("swagger-ui.css")


@router.get("/docs/favicon.png")
async def show_icon() -> Response:
    """The page's icon."""
    return _asset("favicon.png")


def _asset(name: str) -> Response:
    file, media_type = _ASSETS[name]
    return Response(_read(file), media_type=media_type, headers=_A_DAY)


@cache
def _read(file: str) -> bytes:
    return files("fastapi_swagger").joinpath("resources", file).read_bytes()
