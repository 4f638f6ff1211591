"""Pictures of a terminal: `weft alerts why … | python -m docs.generator.picture 'weft alerts why' > why.svg`."""

import io
import re
import sys
from typing import Final

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

_FETCHED_FONTS: Final = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
"""Rich's picture asks another machine for its font; any fixed-width font will do."""


def picture(text: str, title: str) -> str:
    """What a terminal shows, as SVG that needs nothing from elsewhere."""
    lines = text.rstrip("\n").split("\n")
    console = Console(record=True, width=max(len(line) for line in lines) + 2, file=io.StringIO(), highlight=False)
    console.print(Text("\n".join(lines)), soft_wrap=True)
    return console.export_svg(
        title=title, code_format=_FETCHED_FONTS.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code", "ui-monospace")
    )


if __name__ == "__main__":
    sys.stdout.write(picture(sys.stdin.read(), sys.argv[1]))
