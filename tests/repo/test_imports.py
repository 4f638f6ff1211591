"""The command line starts fast because it imports nothing it does not need."""

import json
import subprocess
import sys

HEAVY = {
    "apsw",
    "duckdb",
    "pyarrow",
    "sqlalchemy",
    "fastapi",
    "uvicorn",
    "numpy",
    "opentelemetry",
    "alembic",
    "cryptography",
    "jsonschema_rs",
}


def test_importing_the_command_line_loads_no_sdk() -> None:
    code = "import json, sys; import weft.cli.main; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)

    assert HEAVY & set(json.loads(done.stdout)) == set(), "`weft --help` would take seconds"
