"""Fail when a test that must run was skipped: `skipped.py REPORT ALLOWED`.

REPORT is pytest's JUnit file. ALLOWED holds one regular expression a line, matched against
`name: why it was skipped`, and after a `#` the reason why that is fine.
"""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET


def main(report: str, allowed: str) -> int:
    """0 when every skipped test is on the list."""
    lines = [line.split("#")[0].strip() for line in Path(allowed).read_text(encoding="utf-8").splitlines()]
    patterns = [re.compile(line) for line in lines if line]
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314  # pytest wrote it a moment ago
    skipped = {
        f"{case.get('classname')}::{case.get('name')}": (found.get("message") or "").strip()
        for case in cases
        if (found := case.find("skipped")) is not None and found.get("type") != "pytest.xfail"
    }
    unexpected = {name: why for name, why in skipped.items() if not any(known.search(f"{name}: {why}") for known in patterns)}
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    sys.stdout.write(f"{len(cases)} tests, {len(failed)} failed, {len(skipped)} skipped\n")
    for name, why in sorted(unexpected.items()):
        sys.stdout.write(f"skipped and not on the list: {name}: {why}\n")
    if not cases:
        sys.stdout.write("no test ran\n")
    return 1 if unexpected or failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
