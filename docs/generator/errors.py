"""The page of all errors: what the HTTP answer and the command line's exit code are for each class."""

import inspect
from http import HTTPStatus

from docs.generator.page import cell, header
from weft.api.errors import STATUS_OF
from weft.cli.exits import code_of
from weft.core.errors import Busy, Invalid, Unavailable, WeftError

_BODY = """Every answer of 400 and above has this body, unknown paths and methods included:

```json
{
  "error": "ValidationError",
  "message": "a sentence that names the thing, the value and the next step",
  "details": {"field": "severity", "allowed_values": ["low", "medium", "high", "critical"]},
  "timestamp": "2026-01-31T12:00:00Z",
  "correlation_id": "the same id stands in the log lines of this request"
}
```

A rate limit (429, `RateLimitExceeded`) adds `retry_after`, `limit` and `remaining`. Where clients of accounts read FastAPI's
`detail`, it stands beside these. Anything unforeseen is 500 `InternalError`; the log has the rest."""


def render() -> str:
    """The page as Markdown."""
    lines = header("Errors", "What can go wrong, as HTTP answers and as exit codes of the command line.")
    lines += [_BODY, "", "| class | HTTP | `error` | exit code | try again? | means |", "|---|---|---|---|---|---|"]
    for family, (status, name) in sorted(STATUS_OF.items(), key=lambda entry: (entry[1][0], entry[0].__name__)):
        again = "yes, after `Retry-After`" if issubclass(family, Unavailable | Busy) else "no"
        first = (inspect.getdoc(family) or "").split("\n\n")[0]
        phrase = f"{status} {HTTPStatus(status).phrase}"
        lines.append(f"| {family.__name__} | {phrase} | `{name}` | {code_of(_one(family)).value} | {again} | {cell(first)} |")
    return "\n".join(lines) + "\n"


def _one(family: type[WeftError]) -> WeftError:
    return Invalid("", field="x") if family is Invalid else family("")
