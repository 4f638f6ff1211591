"""Every measurement, one after the other; results go to `bench/results/` with the machine they were measured on.

`python -m bench` runs all of them (about half an hour on two cores), `python -m bench append edge` only those.
"""

import asyncio
import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from bench.machine import describe

NAMES: Final = (
    "append",
    "edge",
    "live",
    "windows",
    "replay",
    "ingest",
    "questions",
    "alerts",
    "kafka",
    "rabbitmq",
    "postgres_store",
    "topologies",
)
RESULTS: Final = Path(__file__).parent / "results"


def main(names: Sequence[str]) -> None:
    """Run the named measurements and write one JSON and one Markdown file each."""
    for name in names or NAMES:
        print(f"{name} …", flush=True)
        machine = describe(Path.cwd())
        result = _run(name)
        result = {
            "name": name,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": f"python -m bench {name}",
            **result,
            "machine": machine,
        }
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        page = to_markdown(result)
        (RESULTS / f"{name}.md").write_text(page, encoding="utf-8")
        print(page, flush=True)


def _run(name: str) -> dict[str, Any]:
    run = import_module(f"bench.{name}").run
    return asyncio.run(run()) if inspect.iscoroutinefunction(run) else run()


def to_markdown(result: Mapping[str, Any]) -> str:
    """The page of one measurement: what, where, the rows, the ratios beside their targets, what could not run."""
    machine = result["machine"]
    parts = [
        f"# {result['name']}\n",
        f"`{result['command']}`, {result['measured_at']}, {_how(result)}.\n",
        (
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB, "
            f"kernel {machine['kernel']}, Python {machine['python']}; a 4 KiB flush takes {machine['flush_4k_us']} µs here. "
            "Load and server share the cores; compare only figures of this page.\n"
        ),
        _rows(result["rows"]),
    ]
    if result.get("ratios"):
        parts.append(_ratios(result["ratios"]))
    if result.get("left_out"):
        parts.append("\n".join(f"Left out: {case} ({why})." for case, why in result["left_out"].items()) + "\n")
    return "\n".join(parts)


def _how(result: Mapping[str, Any]) -> str:
    """How the figures came about."""
    return result.get("how") or f"medians of {result.get('rounds', 'several')} interleaved rounds"


def _rows(rows: Mapping[str, Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [_line(["case", *columns]), _line(["---", *["---:" for _ in columns]])]
    lines += [_line([case, *[_cell(row.get(column)) for column in columns]]) for case, row in rows.items()]
    return "\n".join(lines) + "\n"


def _ratios(ratios: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [_line(["ratio", "measured", "to reach", ""]), _line(["---", "---:", "---:", "---"])]
    lines += [_line([name, _cell(ratio["is"]), _cell(ratio["target"]), _judge(ratio)]) for name, ratio in ratios.items()]
    return "\n".join(lines) + "\n"


def _judge(ratio: Mapping[str, Any]) -> str:
    reached = ratio["is"] <= ratio["target"] if ratio.get("at_most") else ratio["is"] >= ratio["target"]
    return "reached" if reached else "**missed**"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main(sys.argv[1:])
