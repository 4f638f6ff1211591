"""Asking an agency over HTTP: within bounds of time and size, following nobody elsewhere, and what it says in our words."""

from typing import Any, Final

import httpx
import msgspec

from weft.core.errors import Refused, Unavailable

_MOST_BYTES: Final = 256 * 1024
_SHOWN_CHARS: Final = 300
_LATER: Final = frozenset({408, 421, 423, 425, 429})
"""Statuses below 500 that say 'not now'."""
_LONGEST_WAIT_S: Final = 3600


class Asker:
    """One agency's address and the credentials for it. `hint` is told with a refusal to let us in."""

    def __init__(self, url: str, *, sign_in: tuple[str, str] | None, kind: str, timeout_s: float, hint: str) -> None:
        self.host = httpx.URL(url).host
        self._kind = kind
        self._timeout_s = timeout_s
        self._hint = hint
        self._client = httpx.AsyncClient(
            base_url=url,
            auth=sign_in,
            headers={"Accept": kind, "User-Agent": "Weft"},
            timeout=timeout_s,
            follow_redirects=False,  # credentials go to the address they were given for
            trust_env=False,
        )

    async def ask(
        self, method: str, path: str, body: object = None, *, accept: int | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a good answer, or of one with the status `accept`. Raises Refused and Unavailable."""
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if content is None else {"Content-Type": self._kind}
        try:
            async with self._client.stream(method, path, content=content, headers=headers) as answer:
                text = await _beginning(answer)
        except httpx.TimeoutException as slow:
            raise Unavailable(f"{self.host} did not answer within {self._timeout_s:g} s") from slow
        except httpx.TransportError as away:
            raise Unavailable(f"{self.host} cannot be reached: {str(away)[:_SHOWN_CHARS] or type(away).__name__}") from away
        if not answer.is_success and answer.status_code != accept:
            raise self._failure(answer, text)
        return answer.status_code, _read_json(text)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    def _failure(self, answer: httpx.Response, text: bytes) -> Refused | Unavailable:
        said = f"{self.host} answered {answer.status_code}: {_one_line(text)}"
        if answer.status_code in _LATER or answer.status_code >= 500:
            after = answer.headers.get("retry-after", "")
            wait_s = min(int(after[:9]), _LONGEST_WAIT_S) if after.isascii() and after.isdigit() else 0
            return Unavailable(said, retry_after_s=wait_s)
        return Refused(f"{said}; {self._hint}" if answer.status_code in {401, 403} else said)


async def _beginning(answer: httpx.Response) -> bytes:
    """The answer, up to a size that no record of one name has."""
    held = b""
    async for piece in answer.aiter_bytes():
        held += piece
        if len(held) > _MOST_BYTES:
            break
    return held[:_MOST_BYTES]


def _read_json(text: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text or b"{}", type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _one_line(text: bytes) -> str:
    said = text[: 4 * _SHOWN_CHARS].decode(errors="replace")
    return " ".join("".join(char if char.isprintable() else " " for char in said).split())[:_SHOWN_CHARS]
