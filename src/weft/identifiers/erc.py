"""A description as text: an Electronic Resource Citation in ANVL, which is what `?info` of an ARK answers."""

from typing import Final

from weft.core.times import to_text
from weft.identifiers.record import TOMBSTONE
from weft.identifiers.resolve import Found

UNKNOWN: Final = "(:unkn) unknown"


def write_erc(found: Found, *, url: str | None, commitment: str) -> str:
    """The citation of what a name leads to, and what is promised about the name itself. Every value is one line."""
    record, description = found.record, found.record.description
    lines = [
        "erc:",
        f"who: {'; '.join(description.who) or UNKNOWN}",
        f"what: {description.what}",
        f"when: {description.when or UNKNOWN}",
        f"where: {url or record.name}",
        f"version: {record.version}",
    ]
    if record.version_of is not None:
        lines.append(f"version-of: {record.version_of}")
    if found.newer is not None:
        lines.append(f"newer: {found.newer}")
    if record.state == TOMBSTONE:
        lines.append(f"withdrawn: {to_text(record.changed_at_us)} {record.reason}")
    lines += [
        "",
        "erc-support:",
        f"who: {description.publisher or UNKNOWN}",
        f"what: {promise(is_persistent=record.is_persistent, commitment=commitment)}",
        f"when: {to_text(record.created_at_us)}",
        f"where: {url or record.name}",
    ]
    return "\n".join(lines) + "\n"


def promise(*, is_persistent: bool, commitment: str) -> str:
    """What is promised about a name, on one line."""
    if not is_persistent:
        return "(:tba) a name for trying; it is not persistent"
    return " ".join(commitment.split()) or "(:unkn) nothing is promised yet"
