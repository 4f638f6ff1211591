"""`weft erase`: events removed for good."""

from typing import Annotated

import typer

from weft.cli.connect import Server
from weft.cli.options import ConfigOption, DataDirOption, Format, FormatOption, TokenOption, UrlOption
from weft.cli.output import write_json, write_line, write_note
from weft.core.errors import Invalid


def erase(
    *,
    source: Annotated[str | None, typer.Option("--source", help="Events of this source.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Events about this subject.")] = None,
    user_id: Annotated[str | None, typer.Option("--user", help="Events of this user.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First time: 2026-01-31T12:00:00Z.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="End of the range, not included.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    style: FormatOption = Format.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove every event that meets all given conditions, from the store and from the log. There is no way back."""
    given = {"source": source, "subject": subject, "user_id": user_id, "start": start, "end": end}
    conditions = {name: value for name, value in given.items() if value is not None}
    if not conditions:
        raise Invalid("say what to erase: --source, --subject, --user, --from or --to", field="source")
    with Server.find("storage", url=url, token=token, config=config, data_dir=data_dir) as server:
        if not yes:
            listed = ", ".join(f"{name} {value}" for name, value in conditions.items())
            typer.confirm(f"Erase every event with {listed}, for good?", abort=True, err=True)
        answer = server.ask("POST", "/api/v1/erasures", json=conditions)
    if style is Format.JSON:
        write_json(answer)
    elif answer.get("log_keeps") is None:
        write_line(f"Erased {answer['store_events']} events from the store and {answer['log_events']} from the log.")
    else:
        write_line(f"Erased {answer['store_events']} events from the store.")
        write_note(f"The log still has them: {answer['log_keeps']}.")
