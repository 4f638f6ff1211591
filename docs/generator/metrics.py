"""The page of all metrics: those the api room counts, and those that rooms add by `add_gauge` and `add_counter`."""

import ast
from collections.abc import Iterator

from docs.generator.page import cell, header
from docs.generator.tree import modules
from weft.api.metrics import Metrics, host_metrics


def render() -> str:
    """The page as Markdown."""
    metrics = Metrics()
    lines = header(
        "Metrics",
        "What GET /metrics of each role shows, besides the usual `process_*` and `python_*`. The first word is a setting "
        "(`api.metrics_prefix`), so that another system's dashboards keep working.",
    )
    lines += ["| name | kind | labels | what it is |", "|---|---|---|---|"]
    rows = [
        (_full(family.name, family.type), family.type, sorted(getattr(family, "_labelnames", ())), family.documentation)
        for family in [*metrics.collect(), *host_metrics(metrics.prefix)]
    ]
    rows += [(f"{metrics.prefix}_{name}", kind, labels, what) for name, kind, labels, what in _added()]
    for name, kind, labels, what in sorted(rows):
        lines.append(f"| `{name}` | {kind} | {', '.join(labels)} | {cell(what)} |")
    return "\n".join(lines) + "\n"


def _full(name: str, kind: str) -> str:
    return f"{name}_total" if kind == "counter" and not name.endswith("_total") else name


def _added() -> Iterator[tuple[str, str, list[str], str]]:
    kinds = {"add_gauge": "gauge", "add_counter": "counter"}
    for module in modules().values():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in kinds:
                values = [_constant(argument) for argument in node.args[:3]]
                if isinstance(values[0], str) and isinstance(values[1], str):
                    labels = values[2] if isinstance(values[2], list | tuple) else []
                    yield values[0], kinds[node.func.attr], sorted(labels), values[1]


def _constant(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
