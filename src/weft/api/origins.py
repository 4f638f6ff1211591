"""Origins: which web pages may call this API from a browser, and what a browser is told about it."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from weft.api.settings import ApiSettings
from weft.core.errors import NotAllowed

RawHeaders = list[tuple[bytes, bytes]]

EXPOSED: Final = (
    b"X-Correlation-ID, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, Content-Disposition"
)
_DEFAULT_PORT: Final = {"http": 80, "https": 443}
# Headers a browser lets every page send; asking for them needs no leave.
_PLAIN_HEADERS: Final = frozenset({"accept", "accept-language", "content-language", "content-type"})


class Origins:
    """The origin rule of one process."""

    def __init__(self, settings: ApiSettings) -> None:
        self._any = "*" in settings.cors_origins
        self._allowed = frozenset(origin.encode() for origin in settings.cors_origins if origin != "*")
        self._methods = tuple(method.upper() for method in settings.cors_methods)
        self._headers = frozenset(name.lower() for name in settings.cors_headers)
        self._max_age_s = settings.cors_max_age_s
        self._credentials = settings.cors_credentials and not self._any

    def is_listed(self, origin: bytes) -> bool:
        """Whether pages of this origin may call the API without cookies."""
        return self._any or origin.lower() in self._allowed

    def is_at_home(self, origin: bytes | None, host: bytes) -> bool:
        """Whether a request from this origin may count on a cookie or on being local: no origin, our own, or a listed one."""
        return origin is None or is_own(origin, host) or origin.lower() in self._allowed

    def answer_headers(self, origin: bytes) -> RawHeaders:
        """What an answer tells the browser of another origin; empty for an origin that is not listed."""
        if not self.is_listed(origin):
            return []
        if self._any:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", EXPOSED)]
        headers = [
            (b"access-control-allow-origin", origin),
            (b"vary", b"Origin"),
            (b"access-control-expose-headers", EXPOSED),
        ]
        if self._credentials:
            headers.append((b"access-control-allow-credentials", b"true"))
        return headers

    def preflight_headers(self, headers: Mapping[bytes, bytes]) -> RawHeaders:
        """What a browser that asks before it calls is told beside `answer_headers`. Raises NotAllowed, saying what is not."""
        origin = headers[b"origin"]
        if not self.is_listed(origin):
            raise NotAllowed(
                f"pages of {origin.decode('latin-1')[:128]} may not call this API; an administrator can list the origin",
                field="origin",
            )
        method = headers[b"access-control-request-method"].decode("latin-1").upper()
        if method not in self._methods and "*" not in self._methods:
            raise NotAllowed(f"other origins may not use {method[:16]}", field="method", allowed_values=list(self._methods))
        asked = headers.get(b"access-control-request-headers", b"").decode("latin-1")
        names = {name.strip().lower() for name in asked.split(",") if name.strip()}
        if "*" not in self._headers and (refused := names - self._headers - _PLAIN_HEADERS):
            raise NotAllowed(
                f"other origins may not send the header {sorted(refused)[0][:64]}",
                field="headers",
                allowed_values=sorted(self._headers),
            )
        return [
            (b"access-control-allow-methods", ", ".join(self._methods).encode()),
            (b"access-control-allow-headers", asked.encode("latin-1") or b"*"),
            (b"access-control-max-age", b"%d" % self._max_age_s),
        ]


def is_own(origin: bytes, host: bytes) -> bool:
    """Whether an Origin header names the very server that the Host header names."""
    try:
        page, ours = urlsplit(origin.decode("latin-1")), urlsplit(f"//{host.decode('latin-1')}")
        page_port, our_port = page.port or _DEFAULT_PORT.get(page.scheme), ours.port
    except ValueError:
        return False
    if page.scheme not in _DEFAULT_PORT or not page.hostname or page.hostname != ours.hostname:
        return False
    # Behind a proxy that ends TLS the page is https where we see http, so the scheme is not compared.
    return page_port in ({our_port} if our_port else {80, 443})
