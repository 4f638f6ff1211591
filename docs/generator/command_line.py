"""The page of all commands, read from Typer."""

import click
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
    lines += _describe("weft", root)
    return "\n".join(lines) + "\n"


def _describe(name: str, command: click.Command) -> list[str]:
    lines = ["", f"## {name}", "", _text(command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None and not found.hidden:
                lines += _describe(f"{name} {inner}", found)
        return lines
    rows = [row for parameter in command.params if (row := _row(parameter))]
    if rows:
        lines += ["", "| argument or option | default | what it is |", "|---|---|---|", *rows]
    return lines


def _text(command: click.Command) -> str:
    paragraphs = (command.help or "").replace("\f", "").replace("\b", "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _row(parameter: click.Parameter) -> str | None:
    if getattr(parameter, "hidden", False) or parameter.name == "help":
        return None
    if isinstance(parameter, click.Option):
        names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
        metavar = "" if parameter.is_flag else f" {_kind(parameter)}"
        help_text = parameter.help or ""
    else:
        names, metavar, help_text = f"`{(parameter.name or '').upper()}`", "", getattr(parameter, "help", None) or ""
    return f"| {names}{metavar} | {_default(parameter)} | {cell(help_text)} |"


def _kind(parameter: click.Parameter) -> str:
    if isinstance(parameter.type, click.Choice):
        return "one of " + ", ".join(str(choice) for choice in parameter.type.choices)
    return cell(parameter.type.name)


def _default(parameter: click.Parameter) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    if value is None or callable(value) or value in ((), [], False) or "UNSET" in repr(value):
        return ""
    return f"`{getattr(value, 'value', value)}`"
