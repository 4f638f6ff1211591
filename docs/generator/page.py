"""What every generated page has: the place of the repository and the first lines."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def header(title: str, sentence: str) -> list[str]:
    """The first lines of a generated page."""
    return [f"# {title}", "", "<!-- Written by `make docs`; change the code or the data instead. -->", "", sentence, ""]


def cell(text: str) -> str:
    """A text that fits into a table's cell."""
    return " ".join(text.replace("|", "\\|").split())
