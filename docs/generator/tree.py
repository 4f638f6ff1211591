"""The repository as data: its files, and what they import. The generated pages and the tests of the repository read it."""

import ast
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from docs.generator.page import ROOT

PACKAGE: Final = ROOT / "src" / "weft"
ROOMS: Final = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


@cache
def kept_files() -> tuple[Path, ...]:
    """Every file git keeps; of an unpacked archive, every file that is not hidden or built."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        listing = subprocess.check_output([git, "ls-files", "-z"], cwd=ROOT, text=True)  # noqa: S603  # a fixed command
        return tuple(ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file())
    return tuple(path for path in ROOT.rglob("*") if path.is_file() and not any(part[0] == "." for part in path.parts))


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Name and text of every kept file, or of those that end in one of the suffixes."""
    for path in kept_files():
        if not suffixes or path.suffix in suffixes:
            try:
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of every file of the package, by its place inside it."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def imports_of(module: ast.Module) -> set[str]:
    """Dotted names of what a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names
