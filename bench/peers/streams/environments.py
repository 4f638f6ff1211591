"""The environments of the peers: made once, in `.peers/` at the root, from pinned requirements.

`python -m bench.peers.streams.environments` makes all of them (about 2.5 GB); they are no part of the tests.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
NAMES: Final = ("bytewax", "pathway", "spark", "quix")


def find_python(name: str) -> Path | None:
    """The interpreter of a peer, or None where its environment was not made."""
    python = ROOT / ".peers" / name / "bin" / "python"
    return python if python.exists() else None


def make(name: str) -> None:
    """Make a peer's environment from its pinned requirements."""
    uv, folder = ROOT / ".uv" / "bin" / "uv", ROOT / ".peers" / name
    subprocess.run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, folder], check=True)
    requirements = HERE / f"{name}.txt"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", folder, "--requirement", requirements], check=True)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or NAMES:
        make(wanted)
