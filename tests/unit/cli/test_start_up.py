"""The command line answers at once: it loads nothing that a command does not need."""

import json
import subprocess
import sys

from tests.system.deployment import clean_environment

SLOW = {"asyncio", "pydantic", "httpx", "rich", "yaml", "importlib.metadata", "weft.app.settings", "weft.auth"}


def loaded_by(statement: str) -> set[str]:
    code = f"import json, sys; {statement}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60, env=clean_environment()
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_loads_nothing_slow() -> None:
    statement = """
import sys
sys.argv = ['weft', '--help']
from weft.cli.main import main
try:
    main()
except SystemExit:
    pass
"""
    loaded = loaded_by(f"exec({statement!r})")

    assert loaded & SLOW == set(), "`weft --help` would keep people waiting"
