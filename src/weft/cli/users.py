"""`weft users …`: the accounts of a data folder. Who may read the folder may do this; no server is needed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from weft.cli.offline import with_accounts
from weft.cli.options import ConfigOption, DataDirOption, RowFormat, RowFormatOption
from weft.cli.output import write_line, write_note, write_rows
from weft.core.errors import Invalid, NotFound
from weft.core.principal import Role

if TYPE_CHECKING:
    from weft.auth.parts import AuthParts
    from weft.auth.tables import User

app = typer.Typer(help="Make, list and change accounts.", no_args_is_help=True, rich_markup_mode=None)

Email = Annotated[str, typer.Argument(help="E-mail address of the account.", show_default=False)]
RoleOption = Annotated[Role, typer.Option("--role", help="user, operator or admin.")]
PasswordOption = Annotated[
    str | None,
    typer.Option("--password", envvar="WEFT_NEW_PASSWORD", help="The password.", show_default="a random one, printed once"),
]
_PAGE = 500


@app.command("list")
def list_users(style: RowFormatOption = RowFormat.TABLE, data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """List the accounts, oldest first."""

    async def work(auth: "AuthParts") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while True:
            page, total = await auth.accounts.list_accounts(skip=len(rows), limit=_PAGE)
            rows.extend(_row(user) for user in page)
            if not page or len(rows) >= total:
                return rows

    columns = ("email", "role", "is_active", "created_at") if style is RowFormat.TABLE else None
    write_rows(with_accounts(config, data_dir, work), style=style, columns=columns)


@app.command()
def create(
    email: Email,
    *,
    role: RoleOption = Role.USER,
    password: PasswordOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Make an account."""
    chosen, made = _password(password)

    async def work(auth: "AuthParts") -> "User":
        return await auth.accounts.create(email, chosen, role=role, is_verified=True)

    user = with_accounts(config, data_dir, work)
    write_line(f"Made {user.email} with the role {user.role}.")
    _tell_password(chosen, made=made)


@app.command()
def set_role(
    email: Email,
    role: Annotated[Role, typer.Argument(help="user, operator or admin.", show_default=False)],
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Give an account another role."""

    async def work(auth: "AuthParts") -> "User":
        return await auth.accounts.change((await _get(auth, email)).id, role=role)

    user = with_accounts(config, data_dir, work)
    write_line(f"{user.email} now has the role {user.role}.")


@app.command()
def set_password(
    email: Email, *, password: PasswordOption = None, data_dir: DataDirOption = None, config: ConfigOption = None
) -> None:
    """Give an account a new password; its sessions end."""
    chosen, made = _password(password)

    async def work(auth: "AuthParts") -> "User":
        return await auth.accounts.set_password((await _get(auth, email)).id, chosen)

    user = with_accounts(config, data_dir, work)
    write_line(f"{user.email} has a new password.")
    _tell_password(chosen, made=made)


@app.command()
def deactivate(email: Email, data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Lock an account; its sessions and keys stop working."""

    async def work(auth: "AuthParts") -> "User":
        return await auth.accounts.change((await _get(auth, email)).id, is_active=False)

    write_line(f"{with_accounts(config, data_dir, work).email} is locked.")


async def _get(auth: "AuthParts", email: str) -> "User":
    user = await auth.accounts.find_by_email(email)
    if user is None:
        raise NotFound(f"there is no account '{email}'; `weft users list` shows them")
    return user


def _password(given: str | None) -> tuple[str, bool]:
    from weft.auth.account import make_password

    if given == "":
        raise Invalid("the password is empty", field="password")
    return (given, False) if given is not None else (make_password(), True)


def _tell_password(password: str, *, made: bool) -> None:
    if made:
        write_line(f"Password: {password}")
        write_note("It is shown this once.")


def _row(user: "User") -> dict[str, Any]:
    from weft.core.times import to_text

    return {
        "id": user.id,
        "email": user.email,
        "role": user.role,
        "is_active": user.is_active,
        "is_verified": user.is_verified,
        "created_at": to_text(user.created_at_us),
    }
