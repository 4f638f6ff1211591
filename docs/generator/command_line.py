"""The page of all commands, read from Typer."""

import typing
from enum import Enum
from typing import Any

import typer
import typer.main

from docs.generator.page import cell, header
from weft.cli.exits import Exit
from weft.cli.main import app


def render() -> str:
    """The page as Markdown."""
    root = typer.main.get_command(app)
    lines = header("Command line", "Every command of `weft`, as `weft COMMAND --help` says it.")
    lines += ["Exit codes, for scripts:", "", "| code | name |", "|---|---|"]
    lines += [f"| {code.value} | {code.name.lower().replace('_', ' ')} |" for code in Exit]
    lines += _describe("weft", root, typer.Context(root))
    return "\n".join(lines) + "\n"


def _describe(name: str, command: Any, context: Any) -> list[str]:
    lines = ["", f"## {name}", "", _text(command)]
    if hasattr(command, "list_commands"):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if not found.hidden:
                lines += _describe(f"{name} {inner}", found, typer.Context(found, parent=context))
        return lines
    rows = [row for parameter in command.params if (row := _row(parameter))]
    if rows:
        lines += ["", "| argument or option | default | what it is |", "|---|---|---|", *rows]
    return lines


def _text(command: Any) -> str:
    paragraphs = (command.help or "").replace("\f", "").replace("\b", "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _row(parameter: Any) -> str | None:
    if getattr(parameter, "hidden", False) or parameter.name == "help":
        return None
    if parameter.param_type_name == "option":
        names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
        kind = "" if parameter.is_flag else f" {_kind(parameter)}".rstrip()
    else:
        names, kind = f"`{(parameter.name or '').upper()}`", ""
    return f"| {names}{kind} | {_default(parameter)} | {cell(parameter.help or '')} |"


def _kind(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    inner = [kind for kind in typing.get_args(annotation) if kind is not type(None)] or [annotation]
    kind = inner[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(str(choice.value) for choice in kind)
    return {"str": "text", "int": "number", "Path": "path"}.get(getattr(kind, "__name__", ""), "")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    shown = getattr(parameter, "show_default", None)
    if isinstance(shown, str):
        return cell(shown)
    value = parameter.default
    if value in (None, (), [], False) or callable(value):
        return ""
    return f"`{getattr(value, 'value', value)}`"
