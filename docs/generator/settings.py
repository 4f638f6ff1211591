"""The page of all settings, read from the rooms' settings models."""

from enum import Enum
from pathlib import Path

from pydantic import SecretStr

from docs.generator.page import cell, header
from weft.app import aliases
from weft.app.settings import Settings
from weft.app.tree import description_of, fields, value_at, variable_of


def render() -> str:
    """The page as Markdown."""
    lines = header(
        "Settings",
        "Every setting, one section per room. A flag wins over the environment, the environment over `config.yaml`, the file "
        "over the default. Unknown keys are refused by name. `weft config show` prints what is in effect, `weft config check` "
        "looks it over.",
    )
    defaults = Settings()
    section = ""
    for field in fields():
        if field[0] != section:
            section = field[0]
            lines += [
                *([""] if lines[-1] else []),
                f"## {section}",
                "",
                "| key | variable | default | what it is |",
                "|---|---|---|---|",
            ]
        default = _default(value_at(defaults, field))
        lines.append(f"| `{'.'.join(field)}` | `{variable_of(field)}` | {default} | {cell(description_of(field))} |")
    lines += _aliases("Names of earlier systems: environment", "variable", aliases.ENVIRONMENT)
    lines += _aliases("Names of earlier systems: config.yaml", "key", aliases.YAML)
    return "\n".join(lines) + "\n"


def _aliases(title: str, kind: str, table: dict[str, aliases.Alias]) -> list[str]:
    lines = ["", f"## {title}", "", "They stand for the same fields; two names that disagree stop the start.", ""]
    lines += [f"| {kind} | field |", "|---|---|"]
    lines += [f"| `{name}` | {_fields(alias)} |" for name, alias in sorted(table.items())]
    return lines


def _fields(alias: aliases.Alias) -> str:
    implied = [f"`{'.'.join(further.path)}`" for further in alias.implies]
    return f"`{'.'.join(alias.path)}`" + (f"; unless that is set apart, {', '.join(implied)} too" if implied else "")


def _default(value: object) -> str:
    if value is None or isinstance(value, SecretStr):
        return "none"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Path):
        return f"`{value.as_posix()}`"
    if isinstance(value, tuple | list | set | frozenset):
        return ", ".join(f"`{part}`" for part in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{value}`"
