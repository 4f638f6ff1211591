"""`weft status` and `weft health`: is everything fine, seen from outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from weft.cli.connect import Server, local_token, read_configuration
from weft.cli.exits import Exit, Unreachable
from weft.cli.options import ConfigOption, DataDirOption, Format, FormatOption, TokenOption, UrlOption
from weft.cli.output import write_json, write_line, write_note, write_rows
from weft.core.errors import NotFound, WeftError

_UNHEALTHY_TOO = (503,)
_WEIGHT = {"fine": 0, "unknown": 1, "look": 2, "act": 3}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process should answer."""

    service: str
    roles: tuple[str, ...]
    url: str
    pid: int | None
    is_alive: bool


def status(
    *,
    style: FormatOption = Format.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Say in one sentence whether everything is fine, and show every process that plays a role.

    Exits 0 when all processes are healthy and nothing needs action, 1 otherwise, 3 when none runs.
    """
    places, folder = _places(url, data_dir, config)
    processes = [_process(place) for place in places]
    answering = [process["url"] for process in processes if process["status"] != "down"]
    rights = token or local_token(folder)
    verdicts = [found for found in (_ask(place, "/api/v1/verdict", rights) for place in answering) if found]
    verdict = _combined(verdicts, processes)
    rates = next((found for found in (_ask(place, "/metrics/realtime", rights) for place in answering) if found), None)
    _write_status(processes, verdict, rates, style)
    if not answering:
        raise Unreachable("no process answers")
    healthy = all(process["status"] in {"healthy", "degraded"} for process in processes)
    if not healthy or verdict["level"] == "act":
        raise typer.Exit(Exit.FAILED)


def health(
    *,
    service: Annotated[str | None, typer.Option("--service", "-s", help="Only the processes that play this role.")] = None,
    style: FormatOption = Format.TABLE,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask each process for its health. Exits 0 when all are healthy, 1 when one is not, 3 when none runs."""
    places, _ = _places(url, data_dir, config)
    if service not in {None, "all"}:
        places = [place for place in places if url or service in place.roles]
        if not places:
            raise Unreachable(
                f"no process plays {service} on this data folder; start one with `weft start --service {service}`"
            )
    processes = [_process(place) for place in places]
    if style is Format.JSON:
        write_json(processes)
    else:
        write_rows(processes, style="table", columns=("service", "status", "url", "problem"))
    if url and processes[0]["status"] == "down":
        raise Unreachable(str(processes[0]["problem"]))
    if any(process["status"] not in {"healthy", "degraded"} for process in processes):
        raise typer.Exit(Exit.FAILED)


def _places(url: str | None, data_dir: Path | None, config: Path | None) -> tuple[list[Place], Path | None]:
    """Where processes should answer, and the data folder that says so. Raises Unreachable where none ever ran."""
    if url:
        return [Place("weft", (), url, None, is_alive=True)], None
    from weft.app.run_file import read_run_files

    folder = read_configuration(config, data_dir).settings.app.data_dir
    places = [Place(run.service, run.roles, run.own_url or run.url, run.pid, run.is_alive) for run in read_run_files(folder)]
    if not places:
        raise Unreachable(f"no server runs on the data folder {folder}; start one with `weft start`, or name one with --url")
    return places, folder


def _process(place: Place) -> dict[str, Any]:
    row: dict[str, Any] = {
        "service": place.service, "roles": list(place.roles), "status": "down", "url": place.url, "pid": place.pid,
        "version": None, "problem": None, "checks": {},
    }  # fmt: skip
    if not place.is_alive:
        return {**row, "problem": "the process ended without being asked to"}
    try:
        with Server(place.url, None) as server:
            answer = server.ask("GET", "/health", accept=_UNHEALTHY_TOO)
    except WeftError as away:
        return {**row, "problem": away.message}
    checks: Mapping[str, Any] = answer.get("checks", {})
    failing = [name for name, check in checks.items() if isinstance(check, dict) and check.get("status") == "unhealthy"]
    return {
        **row,
        "service": answer.get("service", place.service),
        "status": answer.get("status", "unhealthy"),
        "version": answer.get("version"),
        "problem": ", ".join(failing) or None,
        "checks": checks,
    }


def _ask(url: str, path: str, token: str | None) -> dict[str, Any] | None:
    """What a process answers; None where it does not have this path or does not let us see it."""
    try:
        with Server(url, token) as server:
            answer: dict[str, Any] = server.ask("GET", path)
            return answer
    except NotFound:
        return None
    except WeftError as refused:
        write_note(f"{path}: {refused.message}")
        return None


def _combined(verdicts: Sequence[Mapping[str, Any]], processes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One verdict of all processes: the worst finding of each code, and one for each process that is not well."""
    from weft.core.verdict import Finding, Level, conclude

    findings: dict[str, Finding] = {}
    for verdict in verdicts:
        for told in verdict["findings"]:
            level = Level(told["level"])
            known = findings.get(told["code"])
            if known is None or _WEIGHT[level] > _WEIGHT[known.level]:
                findings[told["code"]] = Finding(code=told["code"], level=level, why=told["why"])
    for process in processes:
        if process["status"] in {"down", "unhealthy"}:
            code = f"app.process.{process['service']}"
            why = f"{process['service']} is {process['status']} ({process['problem']})"
            findings[code] = Finding(code=code, level=Level.ACT, why=why)
    concluded = conclude(list(findings.values()), 0)
    return {
        "level": concluded.level.value,
        "sentence": concluded.sentence,
        "findings": [{"code": found.code, "level": found.level.value, "why": found.why} for found in concluded.findings],
    }


def _write_status(
    processes: Sequence[Mapping[str, Any]],
    verdict: Mapping[str, Any],
    rates: Mapping[str, Any] | None,
    style: Format,
) -> None:
    metrics: Mapping[str, Any] = (rates or {}).get("metrics", {})
    if style is Format.JSON:
        write_json({"verdict": verdict, "processes": processes, "metrics": metrics})
        return
    write_line(str(verdict["sentence"]))
    for finding in verdict["findings"]:
        if finding["level"] != "fine":
            write_line(f"  {finding['level']}: {finding['why']} ({finding['code']})")
    write_line()
    write_rows(processes, style="table", columns=("service", "status", "url", "pid", "problem"))
    if metrics:
        write_line()
        write_line("  ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in metrics.items() if value is not None))
