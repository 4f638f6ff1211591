"""The page of all adapters, read from the entry points."""

import inspect

from docs.generator.page import cell, header
from weft.core.adapters import adapter_schemes
from weft.testing.waivers import WAIVERS

PORTS = ("log", "store", "cache")


def render() -> str:
    """The page as Markdown."""
    lines = header(
        "Adapters", "What can stand behind each port. A URL's scheme chooses; each is proven by the suite of its port."
    )
    for port in PORTS:
        lines += [f"## {port}", "", "| scheme | class | reach | what it is |", "|---|---|---|---|"]
        for scheme, point in adapter_schemes(port).items():
            adapter = point.load()
            first = (inspect.getdoc(adapter) or "").split("\n\n")[0]
            lines.append(f"| `{scheme}://` | `{point.value.replace(':', '.')}` | {adapter.reach} | {cell(first)} |")
        lines += ["", *_waivers(port)]
    return "\n".join(lines)


def _waivers(port: str) -> list[str]:
    """What adapters of a port declare that they cannot keep, or nothing where all keep everything."""
    rows = [
        f"| {adapter.partition('/')[2]} | {lack.value} | {cell(reason)} |"
        for adapter, lacks in WAIVERS.items()
        if adapter.startswith(f"{port}/")
        for lack, reason in lacks.items()
    ]
    return ["What an adapter cannot do:", "", "| adapter | cannot | because |", "|---|---|---|", *rows, ""] if rows else []
