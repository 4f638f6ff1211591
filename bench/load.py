"""Load from another process: wrk with a script, measured so that nobody mistakes its own limit for a server's."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

UNIQUE = "@@@@@@@@@@@@"
"""Stands for twelve hexadecimal digits that no other request has."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: one of the bodies in turn, each event holding `UNIQUE` where it shall be like no other."""

    path: str
    bodies: tuple[str, ...]
    connections: int
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = (("Authorization", "Bearer bench"),)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Result:
    """What wrk saw."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float


def write_script(load: Load, path: Path) -> None:
    """The Lua script of a load. Bodies with `UNIQUE` are joined anew for each request, the others are only handed over."""
    parts = [json.dumps(body.split(UNIQUE), ensure_ascii=True) for body in load.bodies]
    tables = ",\n".join(_lua_list(json.loads(text)) for text in parts)
    headers = "".join(f"wrk.headers[{_lua(name)}] = {_lua(value)}\n" for name, value in load.headers)
    path.write_text(
        f"""
local bodies = {{{tables}}}
local count, turn, seed = #bodies, 0, 0
local ready = {{}}
wrk.method = {_lua(load.method)}
wrk.path = {_lua(load.path)}
wrk.headers["Content-Type"] = {_lua(load.content_type)}
{headers}
function init(args)
  seed = tonumber(args[1] or "0")
  for number, parts in ipairs(bodies) do
    if #parts == 1 then ready[number] = wrk.format(nil, nil, nil, parts[1]) end
  end
end
function request()
  turn = turn + 1
  local number = turn % count + 1
  if ready[number] then return ready[number] end
  return wrk.format(nil, nil, nil, table.concat(bodies[number], string.format("%04x%08x", seed % 65536, turn)))
end
""",
        encoding="utf-8",
    )


def start(script: Path, port: int, connections: int, seconds: float, seed: int) -> subprocess.Popen[str]:
    """Begin to send."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--timeout", "30s", "--latency", "-s", str(script)]
    return subprocess.Popen(
        [*command, f"http://127.0.0.1:{port}", "--", str(seed)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> Result:
    """What was seen. Raises RuntimeError when an answer was not a success."""
    told, _ = process.communicate()
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    if process.returncode or found is None or "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(told)
    return Result(float(found[1]), _milliseconds(told, "50%"), _milliseconds(told, "99%"))


def _milliseconds(told: str, percentile: str) -> float:
    found = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)", told)
    if found is None:
        raise RuntimeError(told)
    return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]]


def _lua(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _lua_list(texts: list[str]) -> str:
    return "{" + ",".join(_lua(text) for text in texts) + "}"
