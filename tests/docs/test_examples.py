"""Every command of the tutorial and the how-to pages works when pasted.

A fenced block marked `sh test` is run, all blocks of a page in one shell, in the folder where Weft was started. A block marked
`text output` right after it is what it prints; `…` in it stands for anything.
"""

import html
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from docs.generator.page import ROOT
from tests.docs.conftest import Weft

pytestmark = pytest.mark.xdist_group("manual")  # one Weft serves them all

PAGES = sorted([*(ROOT / "docs" / "tutorial").glob("*.md"), *(ROOT / "docs" / "how-to").glob("*.md")])
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """Commands, and what they print (None where the page does not say)."""

    commands: str
    output: str | None


def examples_of(page: Path) -> list[Example]:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"^[ \t]+```", text, re.MULTILINE), f"{page.name} has an indented example, which would not be run"
    found = [(match["kind"].strip(), match["text"]) for match in FENCE.finditer(text)]
    after = [*found, ("", "")][1:]
    return [
        Example(text, shown if shown_kind == "text output" else None)
        for (kind, text), (shown_kind, shown) in zip(found, after, strict=True)
        if kind == "sh test"
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.timeout(300)
@pytest.mark.contract("SF-326", "SF-334", "LM-54")
def test_the_examples_of_a_page_work(page: Path, weft: Weft, tmp_path: Path) -> None:
    examples = examples_of(page)
    assert examples, f"{page.name} has no example that is run"
    script = "set -eu\n" + "\n".join(
        f"exec >'{tmp_path}/{number}' 2>&1\n{weft.here(example.commands)}" for number, example in enumerate(examples)
    )

    code = _run(script, weft)

    outputs = [file.read_text() for number in range(len(examples)) if (file := tmp_path / str(number)).exists()]
    assert code == 0, f"{examples[len(outputs) - 1].commands}\nprinted\n{outputs[-1]}\n{_log(weft)}"
    for example, printed in zip(examples, outputs, strict=True):
        if example.output is not None:
            _same(example, printed, weft)


def _run(script: str, weft: Weft) -> int:
    """The exit code of a shell; whatever it left running in the background ends with it."""
    shell = subprocess.Popen(
        ["bash", "-c", script], cwd=weft.folder, env=weft.environment, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return shell.wait(timeout=240)
    except subprocess.TimeoutExpired:
        return -1
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def _same(example: Example, printed: str, weft: Weft) -> None:
    assert example.output is not None
    wanted = weft.here(example.output).strip("\n").splitlines()
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    said = "".join(f"{line}\n" for line in lines)
    assert re.fullmatch(_pattern(wanted), said), (
        f"{example.commands}\nprinted\n{printed}\nand the manual says\n{example.output}"
    )


PICTURES = [*(ROOT / "docs").rglob("pictures/*.svg")]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.stem)
def test_a_picture_shows_what_its_page_says_is_printed(picture: Path) -> None:
    """What is printed is held against the page above; so a picture that is out of date is found too."""
    pages = [page for page in PAGES if f"pictures/{picture.name}" in page.read_text(encoding="utf-8")]
    shown = _text_of(picture)

    outputs = [example.output for page in pages for example in examples_of(page) if example.output is not None]

    assert any(re.fullmatch(_pattern(output.strip("\n").splitlines()), shown) for output in outputs), shown


def _text_of(picture: Path) -> str:
    """The lines of a picture of a terminal, without its title."""
    lines: dict[float, str] = {}
    for match in re.finditer(
        r'<text[^>]* x="([\d.]+)" y="([\d.]+)" textLength[^>]*>([^<]*)<', picture.read_text(encoding="utf-8")
    ):
        lines[float(match[2])] = lines.get(float(match[2]), "") + html.unescape(match[3]).replace("\xa0", " ")
    return "".join(f"{lines[y].rstrip()}\n" for y in sorted(lines))


def _pattern(wanted: Sequence[str]) -> str:
    """`…` alone stands for any lines, inside a line for anything."""
    return "".join(r"(?:[^\n]*\n)*" if line.strip() == "…" else _line(line.rstrip()) for line in wanted)


def _line(line: str) -> str:
    return "[^\n]*".join(re.escape(part) for part in line.split("…")) + "\n"


def _log(weft: Weft) -> str:
    return "\n".join((weft.folder / "weft.log").read_text().splitlines()[-20:])


def test_no_command_of_a_page_escapes_being_run() -> None:
    unmarked = [
        f"{page.name}: {match['text'].splitlines()[0]}"
        for page in PAGES
        for match in FENCE.finditer(page.read_text(encoding="utf-8"))
        if match["kind"].strip() in {"sh", "bash", "shell", "console"}
    ]

    assert unmarked == [], "mark them `sh test`, or `sh not run: <reason>`"
