"""The API key of this machine's own command line: made at the first start, kept in the data folder for its owner alone."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from weft.auth.parts import AuthParts

NAME: Final = "command line of this machine"


def _file(data_dir: Path) -> Path:
    return data_dir / "secrets" / "local.key"


def read_local_key(data_dir: Path) -> str | None:
    """The key, where there is one and the reader may read it."""
    try:
        return _file(data_dir).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


async def make_local_key(data_dir: Path, auth: "AuthParts") -> None:
    """Make the key unless there is one that still works. It can do what the oldest administrator can."""
    from weft.core.principal import SCOPES_OF, Role

    known = read_local_key(data_dir)
    if known is not None and await auth.api_keys.find(known) is not None:
        return
    owner = await _oldest_administrator(auth)
    if owner is None:
        return
    scopes = SCOPES_OF[Role.ADMIN]
    _, text = await auth.api_keys.create(owner_id=owner, name=NAME, scopes=scopes, may_give=scopes, requests_per_minute=0)
    file = _file(data_dir)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(text)
    draft.replace(file)


async def _oldest_administrator(auth: "AuthParts") -> str | None:
    from weft.core.principal import Role

    skip = 0
    while True:
        users, total = await auth.accounts.list_accounts(skip=skip, limit=100)
        for user in users:
            if user.role == Role.ADMIN and user.may_sign_in:
                return user.id
        skip += len(users)
        if not users or skip >= total:
            return None
