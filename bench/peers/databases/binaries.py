"""Where a server's program is: on the path, or in the folder WEFT_BENCH_BIN."""

import os
import shutil


def find_program(name: str) -> str | None:
    """Its full path, None where it is not installed."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("WEFT_BENCH_BIN", ""), os.environ["PATH"]]))
