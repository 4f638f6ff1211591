"""The page of all adapters, read from the entry points."""

import inspect

from docs.generator.page import cell, header
from weft.core.adapters import adapter_schemes

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
        lines.append("")
    return "\n".join(lines)
