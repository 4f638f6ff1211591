"""The adapter catalogue: a port's adapters are found by entry point, chosen by URL scheme, imported only when used."""

import sys
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, cast

from weft.core.errors import Invalid, Unsupported


def adapter_schemes(port: str) -> dict[str, EntryPoint]:
    """Every installed adapter of a port (`log`, `store`), by URL scheme."""
    return {point.name: point for point in sorted(_installed(tuple(sys.path)).select(group=f"weft.{port}"))}


@cache
def _installed(_path: tuple[str, ...]) -> EntryPoints:
    """What is installed on Python's path, read once: it takes a file of each of a hundred packages."""
    return cast("EntryPoints", entry_points())  # Python 3.11 has its own name for what can be selected from


def load_adapter(port: str, url: str) -> type[Any]:
    """The adapter class that serves `url`.

    Raises Invalid for a text without a scheme or with an unknown one, Unsupported where the adapter's extra is not installed.
    """
    scheme, separator, _ = url.partition("://")
    known = adapter_schemes(port)
    if not separator:
        raise Invalid(f"'{url}' is not a {port} address; it starts with one of: {_listing(known)}", field=f"{port}.url")
    if scheme not in known:
        raise Invalid(f"no {port} adapter is called '{scheme}'; installed are: {_listing(known)}", field=f"{port}.url")
    try:
        return known[scheme].load()
    except ModuleNotFoundError as missing:
        raise Unsupported(
            f"the {port} adapter '{scheme}' needs the package '{missing.name}', which is not installed; "
            f"run: pip install '{_distribution(known[scheme])}'"
        ) from missing


def _distribution(point: EntryPoint) -> str:
    """What brings an adapter's library: of ours the extra that is called as the adapter's package in its room."""
    package, *inner = point.module.split(".")
    if package == "weft":
        return f"weft[{inner[1]}]"
    return point.dist.name if point.dist is not None else package


def _listing(schemes: dict[str, EntryPoint]) -> str:
    return ", ".join(f"{scheme}://" for scheme in schemes) or "none"
