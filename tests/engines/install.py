"""What the tests of other engines need: Flink in an environment of its own, and jars beside it by Maven.

`python -m tests.engines.install` makes it, once for each version of what it is made from.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
FOLDER: Final = ROOT / ".services" / "flink"
_MADE_FROM: Final = (HERE / "requirements.txt", HERE / "pom.xml")


def install() -> None:
    """Make the environment and fetch the jars, where they are not there already."""
    mark = FOLDER / "made-from"
    digest = sha256(b"".join(path.read_bytes() for path in _MADE_FROM)).hexdigest()
    if mark.exists() and mark.read_text() == digest:
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    uv = ROOT / ".uv" / "bin" / "uv"
    _run(uv, "venv", "--quiet", "--python", sys.executable, FOLDER / "venv")
    _run(uv, "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--python", FOLDER / "venv", "-r", _MADE_FROM[0])
    _run("mvn", "-q", "-B", "-f", _MADE_FROM[1], "dependency:copy-dependencies", f"-DoutputDirectory={FOLDER / 'lib'}")
    mark.write_text(digest)


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


def flink_jars() -> Sequence[Path]:
    """The jars of Flink and those beside it."""
    (lib,) = FOLDER.glob("venv/lib/python*/site-packages/pyflink/lib")
    return [*sorted(lib.glob("*.jar")), *sorted((FOLDER / "lib").glob("*.jar"))]


if __name__ == "__main__":
    install()
