"""The program inside the test's own process: fast, with its exit code and what it wrote."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from weft.cli.main import main


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Weft = Callable[..., Done]


@pytest.fixture
def weft(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Weft:
    """Runs `weft` with arguments in an empty folder; keyword arguments are environment variables."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("WEFT_") or name in {"ENVIRONMENT", "DEBUG", "LOG_LEVEL"}:
            monkeypatch.delenv(name)

    def run(*arguments: str, **environment: str) -> Done:
        with monkeypatch.context() as patched:
            for name, value in environment.items():
                patched.setenv(name, value)
            patched.setattr(sys, "argv", ["weft", *arguments])
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Done(ended.value.code if isinstance(ended.value.code, int) else 0, out, err)

    return run
