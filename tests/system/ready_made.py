"""Processes that start at once: a parent that has imported everything forks one for each line it reads.

What runs in the fork is the installed program from its first line on; only the second that imports take is saved, hundreds of
times. The parent writes each one's exit code into a file named for its process id.
"""

import gc
import json
import os
import random
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from sqlalchemy.orm import configure_mappers

from weft.cli.main import main
from weft.core.adapters import adapter_schemes

IMPORTED_LATER = (
    "aiosqlite",
    "httpx",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "typer._adapters",
    "weft.app.start",
    "weft.db.move",
)
"""What the program imports only when it comes to it: imported once, for all."""


def serve(exits: Path) -> None:
    """Fork one process for each request on standard input."""
    for name in IMPORTED_LATER:
        import_module(name)
    for port in ("log", "store", "cache"):
        for adapter in adapter_schemes(port).values():
            adapter.load()
    configure_mappers()
    gc.freeze()  # no fork looks for garbage in what all share

    def reap(_number: int, _frame: FrameType | None) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            draft = exits / f".{pid}"
            draft.write_text(str(os.waitstatus_to_exitcode(status)), encoding="utf-8")
            draft.replace(exits / str(pid))

    signal.signal(signal.SIGCHLD, reap)
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            become(json.loads(line))
        print(pid, flush=True)
    gc.unfreeze()  # else DuckDB says at exit that it leaked everything


def become(request: dict[str, Any]) -> NoReturn:
    """Be the program with the arguments, the environment, the folder and the output that were asked for."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDONLY)
        output, errors = (
            os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) for name in ("output", "errors")
        )
        for source, target in ((nowhere, 0), (output, 1), (errors, 2)):
            os.dup2(source, target)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        random.seed()
        sys.argv = ["weft", *request["arguments"]]
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
