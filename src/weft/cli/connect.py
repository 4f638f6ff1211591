"""Finds the server that a command talks to, and talks to it."""

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from weft.cli.exits import Unreachable
from weft.core import errors

if TYPE_CHECKING:
    import httpx

    from weft.app.config import Configuration

TIMEOUT_S: Final = 30.0

_ERROR_OF: Final[dict[int, type[errors.WeftError]]] = {
    400: errors.Malformed,
    401: errors.Unauthenticated,
    403: errors.NotAllowed,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.TooLarge,
    422: errors.Invalid,
    429: errors.Busy,
    501: errors.Unsupported,
}


def read_configuration(config: Path | None = None, data_dir: Path | None = None, **flags: Any) -> "Configuration":
    """The configuration as the server on this folder would read it."""
    from weft.app.config import load_configuration

    return load_configuration(
        flags={"app.data_dir": data_dir, **{f"app.{name}": value for name, value in flags.items()}},
        environ=os.environ,
        file=config,
    )


def find_url(*roles: str, url: str | None, config: Path | None, data_dir: Path | None) -> tuple[str, Path | None]:
    """The address of a process that plays one of `roles`, the first that is played, and the data folder it was found in
    (None for a given address).

    Raises Unreachable where none runs.
    """
    if url:
        return url.rstrip("/"), None
    from weft.app.run_file import read_run_files

    folder = read_configuration(config, data_dir).settings.app.data_dir
    runs = [run for run in read_run_files(folder) if run.is_alive]
    playing = [run for role in roles for run in reversed(runs) if role in run.roles]
    if not runs:
        raise Unreachable(f"no server runs on the data folder {folder}; start one with `weft start`, or name one with --url")
    if not playing:
        others = ", ".join(dict.fromkeys(role for run in runs for role in run.roles))
        raise Unreachable(
            f"on the data folder {folder} runs {others}, and not yet {' or '.join(roles)}; try again once it is up, "
            f"start it with `weft start --service {roles[0]}`, or name a server with --url"
        )
    return playing[0].url, folder


class Server:
    """One running server. Every answer that is an error becomes ours."""

    def __init__(self, url: str, token: str | None) -> None:
        import httpx

        self.url = url
        self.token = token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, follow_redirects=False)

    @classmethod
    def find(cls, *roles: str, url: str | None, token: str | None, config: Path | None, data_dir: Path | None) -> Self:
        """The server that plays the first of these roles that is played, with the given token or the folder's own."""
        found, folder = find_url(*roles, url=url, config=config, data_dir=data_dir)
        return cls(found, token or local_token(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
        json: object = None,
        accept: Sequence[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON of an answer. Statuses in `accept` count as answers too. Raises what the server said, or Unreachable."""
        with self._reaching():
            answer = self._client.request(method, path, params=_given(params), json=json, headers=headers)
        if answer.is_success or answer.status_code in accept:
            return answer.json() if answer.content else None
        raise _error_of(answer)

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        json: object = None,
        headers: Mapping[str, str],
    ) -> "Generator[httpx.Response]":
        """An answer that goes on. It never times out while reading."""
        import httpx

        with (
            self._reaching(),
            self._client.stream(
                method,
                path,
                params=_given(params),
                json=json,
                headers=dict(headers),
                timeout=httpx.Timeout(TIMEOUT_S, read=None),
            ) as answer,
        ):
            if not answer.is_success:
                answer.read()
                raise _error_of(answer)
            yield answer

    @contextmanager
    def _reaching(self) -> Generator[None]:
        import httpx

        try:
            yield
        except httpx.TimeoutException as slow:
            raise Unreachable(f"{self.url} did not answer within {TIMEOUT_S:g} s") from slow
        except (httpx.TransportError, httpx.InvalidURL) as away:
            raise Unreachable(f"{self.url} cannot be reached: {away}") from away


def _given(params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None) -> Any:
    if isinstance(params, Mapping):
        return {name: value for name, value in params.items() if value is not None}
    return params


def _error_of(answer: "httpx.Response") -> errors.WeftError:
    try:
        body = answer.json()
        message = str(body["message"])
    except (ValueError, KeyError, TypeError):
        message = f"{answer.request.url} answered {answer.status_code}"
    family = _ERROR_OF.get(answer.status_code, errors.Unavailable)
    return family(message)


def local_token(folder: Path | None) -> str | None:
    """The secret a server left in its data folder for whoever may read it."""
    if folder is None:
        return None
    from weft.app.local_key import read_local_key

    return read_local_key(folder)
