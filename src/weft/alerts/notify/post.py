"""Posting to an HTTP address: to the address that was checked, within bounds, following nobody anywhere else."""

import base64
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from weft.alerts.notify.destinations import Destinations
from weft.alerts.notify.shorten import one_line
from weft.alerts.notify.tls import tls_context
from weft.core.clock import Clock
from weft.core.errors import Invalid, Refused, Unavailable
from weft.core.times import SECOND_US, from_datetime

_MOST_BYTES: Final = 16 * 1024
_SHOWN_CHARS: Final = 300
_LATER: Final = frozenset({408, 409, 421, 423, 425, 429})
"""Statuses below 500 that say 'not now': too slow, another request with this key is under way, busy, too early, too many."""
_LONGEST_WAIT_S: Final = 3600


class Poster:
    """Sends requests to where they may go."""

    def __init__(self, destinations: Destinations, *, timeout_s: float, clock: Clock) -> None:
        self._destinations = destinations
        self._timeout_s = timeout_s
        self._clock = clock

    async def post(
        self, url: str, *, content: bytes, headers: Mapping[str, str], sign_in: tuple[str, str] | None = None
    ) -> str:
        """Post and return what was answered, shortened. Raises Refused (3xx, 4xx), Unavailable (5xx, too busy, not there)."""
        address = httpx.URL(url)
        host = address.host
        pinned = await self._destinations.find(host, address.port or (443 if address.scheme == "https" else 80))
        request = httpx.Request(
            "POST",
            address.copy_with(host=pinned),
            content=content,
            headers={
                "User-Agent": "Weft",
                **headers,
                **({} if sign_in is None else {"Authorization": _basic(*sign_in)}),
                "Host": address.netloc.decode("ascii"),
                "Connection": "close",
            },
            extensions={"timeout": httpx.Timeout(self._timeout_s).as_dict(), "sni_hostname": host},
        )
        try:
            # A client would write the whole address into the program's log, and addresses hold secrets.
            async with httpx.AsyncHTTPTransport(verify=tls_context()) as transport:
                answer = await transport.handle_async_request(request)
                try:
                    return self._judge(host, answer, await _beginning(answer))
                finally:
                    await answer.aclose()
        except httpx.TimeoutException as slow:
            raise Unavailable(f"{host} did not answer within {self._timeout_s:g} s", retry_after_s=0) from slow
        except httpx.TransportError as away:
            why = str(away)[:_SHOWN_CHARS] or type(away).__name__
            raise Unavailable(f"{host} cannot be reached: {why}", retry_after_s=0) from away

    def _judge(self, host: str, answer: httpx.Response, text: str) -> str:
        said = f"{answer.status_code} {answer.reason_phrase}".strip() + (f": {text}" if text else "")
        if answer.is_success:
            return said
        if 300 <= answer.status_code < 400:
            raise Refused(f"{host} answered {said}; redirects are not followed, give the channel the final address")
        if answer.status_code in _LATER or answer.status_code >= 500:
            raise Unavailable(
                f"{host} answered {said}", retry_after_s=self._retry_after_s(answer.headers.get("retry-after", ""))
            )
        raise Refused(f"{host} answered {said}")

    def _retry_after_s(self, text: str) -> int:
        """Seconds or a date, as HTTP has it; 0 where nothing was asked for."""
        if text.isascii() and text.isdigit():
            return min(int(text[:9]), _LONGEST_WAIT_S)
        try:
            moment = parsedate_to_datetime(text)
        except (TypeError, ValueError, IndexError):
            return 0
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        wait_s = -(-(from_datetime(moment) - self._clock.now_us()) // SECOND_US)
        return min(max(wait_s, 0), _LONGEST_WAIT_S)


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


async def _beginning(answer: httpx.Response) -> str:
    """The first part of an answer as one line, whatever its size; the rest is not read."""
    held = b""
    async for piece in answer.aiter_raw():
        held += piece
        if len(held) >= _MOST_BYTES:
            break
    return one_line(held.decode(errors="replace"), _SHOWN_CHARS)


def check_url(url: str, *, field: str) -> str:
    """The host of an HTTP address. Raises Invalid where it is none, or holds a name and password."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as unreadable:
        raise Invalid(f"{field} is no address such as https://host/path", field=field) from unreadable
    if address.scheme not in {"http", "https"} or not address.host:
        raise Invalid(f"{field} is no address such as https://host/path", field=field)
    if address.userinfo:
        raise Invalid(f"{field} holds a name or password; give them as settings of their own", field=field)
    return address.host


def place_of(url: str) -> str:
    """Scheme, host and port of an address, without its path."""
    address = httpx.URL(url)
    return f"{address.scheme}://{address.netloc.decode('ascii')}"
