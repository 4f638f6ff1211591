"""InfluxDB 1.6."""

import socket
import urllib.request
from pathlib import Path

from bench.peers.databases.binaries import find_program


def missing() -> str | None:
    """Why it cannot run here."""
    return None if find_program("influxd") else "influxd is not installed"


def command(port: int, folder: Path) -> list[str]:
    """How to start it, its configuration written."""
    home = folder / "influxdb"
    home.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        inner = probe.getsockname()[1]
    (folder / "influxdb.conf").write_text(
        f"""
reporting-disabled = true
bind-address = "127.0.0.1:{inner}"
[meta]
dir = "{home}/meta"
[data]
dir = "{home}/data"
wal-dir = "{home}/wal"
index-version = "tsi1"
query-log-enabled = false
max-series-per-database = 0
max-values-per-tag = 0
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
max-body-size = 0
[monitor]
store-enabled = false
"""
    )
    return [find_program("influxd") or "", "-config", str(folder / "influxdb.conf")]


def create(port: int) -> None:
    """Make the database that the load writes to."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/query?q=CREATE%20DATABASE%20bench", method="POST")
    urllib.request.urlopen(request, timeout=10).close()
