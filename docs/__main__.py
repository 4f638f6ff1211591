"""Write the generated pages (`python -m docs`), or look whether they are up to date (`python -m docs --check`)."""

import importlib
import sys
from typing import Final

from docs.generator.page import ROOT

PAGES: Final = {
    "compatibility": "docs/reference/compatibility.md",
    "settings": "docs/reference/settings.md",
    "command_line": "docs/reference/command-line.md",
    "http": "docs/reference/http.md",
    "live": "docs/reference/live.md",
    "adapters": "docs/reference/adapters.md",
    "metrics": "docs/reference/metrics.md",
    "event_types": "docs/reference/event-types.md",
    "errors": "docs/reference/errors.md",
    "expressions": "docs/reference/expressions.md",
}


def stale(*, write: bool) -> list[str]:
    """Pages that are not what the code says; with `write` they are written."""
    found: list[str] = []
    for name, place in PAGES.items():
        path = ROOT / place
        text = importlib.import_module(f"docs.generator.{name}").render()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            found.append(place)
            if write:
                path.write_text(text, encoding="utf-8")
    return found


def main(arguments: list[str]) -> int:
    """0 when all is up to date or written, 1 when `--check` found a stale page."""
    checking = "--check" in arguments
    pages = stale(write=not checking)
    for page in pages:
        sys.stdout.write(f"{page} {'is stale; run `make docs`' if checking else 'written'}\n")
    return 1 if checking and pages else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
