"""`weft keys …`: API keys for devices and programs. Who may read the data folder may do this; no server is needed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from weft.cli.offline import with_accounts
from weft.cli.options import ConfigOption, DataDirOption, Format, FormatOption, RowFormat, RowFormatOption
from weft.cli.output import write_json, write_line, write_note, write_rows
from weft.core.errors import NotFound
from weft.core.principal import SCOPES_OF, Role, Scope

if TYPE_CHECKING:
    from weft.auth.api_key import ApiKey
    from weft.auth.parts import AuthParts
    from weft.auth.tables import User

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True, rich_markup_mode=None)
_PAGE = 500


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, such as the device's name.", show_default=False)],
    *,
    scope: Annotated[
        list[Scope] | None, typer.Option("--scope", help="What it may do; may be repeated.", show_default="events:write")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", help="E-mail of the account it belongs to.", show_default="the first administrator")
    ] = None,
    per_minute: Annotated[
        int | None, typer.Option("--per-minute", min=0, help="Its own rate limit; 0 is none.", show_default="the usual one")
    ] = None,
    expires: Annotated[str | None, typer.Option("--expires", help="When it stops working: 2027-01-31T12:00:00Z.")] = None,
    style: FormatOption = Format.TABLE,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a key and print it, this once."""
    from weft.core.times import parse

    expires_at_us = parse(expires, field="expires") if expires else None

    async def work(auth: "AuthParts") -> "tuple[ApiKey, str]":
        user = await _owner(auth, owner)
        return await auth.api_keys.create(
            owner_id=user.id,
            name=name,
            scopes=scope or [Scope.EVENTS_WRITE],
            may_give=SCOPES_OF[Role(user.role)],
            requests_per_minute=per_minute,
            expires_at_us=expires_at_us,
        )

    key, text = with_accounts(config, data_dir, work)
    if style is Format.JSON:
        write_json({**_row(key), "key": text})
    else:
        write_line(text)
        write_note(f"The key '{name}' may: {key.scopes.replace(' ', ', ')}. It is shown this once.")


@app.command("list")
def list_keys(style: RowFormatOption = RowFormat.TABLE, data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """List the keys, newest first. Their secrets are not kept and cannot be shown."""

    async def work(auth: "AuthParts") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while True:
            page, total = await auth.api_keys.list_keys(skip=len(rows), limit=_PAGE)
            rows.extend(_row(key) for key in page)
            if not page or len(rows) >= total:
                return rows

    columns = ("prefix", "name", "scopes", "created_at", "last_used_at", "revoked_at") if style is RowFormat.TABLE else None
    write_rows(with_accounts(config, data_dir, work), style=style, columns=columns)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Id or prefix of the key.", show_default=False)],
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """End a key. A running server notices within seconds."""
    from weft.auth.api_key import MARK

    async def work(auth: "AuthParts") -> "ApiKey":
        return await auth.api_keys.revoke(key.removeprefix(MARK))

    write_line(f"The key '{with_accounts(config, data_dir, work).name}' is revoked.")


async def _owner(auth: "AuthParts", email: str | None) -> "User":
    if email is not None:
        user = await auth.accounts.find_by_email(email)
        if user is None:
            raise NotFound(f"there is no account '{email}'; `weft users list` shows them")
        return user
    page, _ = await auth.accounts.list_accounts(limit=_PAGE)
    for user in page:
        if user.role == Role.ADMIN and user.may_sign_in:
            return user
    raise NotFound("there is no administrator yet; start Weft once, or make one with `weft users create --role admin`")


def _row(key: "ApiKey") -> dict[str, Any]:
    from weft.auth.api_key import MARK
    from weft.core.times import to_text

    def text(time_us: int | None) -> str | None:
        return None if time_us is None else to_text(time_us)

    return {
        "id": key.id,
        "prefix": f"{MARK}{key.prefix}",
        "name": key.name,
        "scopes": key.scopes,
        "created_at": text(key.created_at_us),
        "last_used_at": text(key.last_used_us),
        "expires_at": text(key.expires_at_us),
        "revoked_at": text(key.revoked_at_us),
    }
