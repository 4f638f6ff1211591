"""Which web pages may call: a page of a stranger must not act with its visitor's session."""

import pytest

from weft.api.origins import Origins, is_own
from weft.api.settings import ApiSettings
from weft.core.errors import NotAllowed

PAGE = b"https://app.example.org"


def preflight(origin: bytes = PAGE, method: bytes = b"POST", headers: bytes = b"") -> dict[bytes, bytes]:
    asked = {b"origin": origin, b"access-control-request-method": method}
    return asked | ({b"access-control-request-headers": headers} if headers else {})


@pytest.mark.contract("SF-275")
def test_a_pre_flight_from_an_origin_that_is_not_listed_is_refused() -> None:
    origins = Origins(ApiSettings(cors_origins=("https://app.example.org",)))
    assert (b"access-control-allow-origin", PAGE) in origins.answer_headers(PAGE)
    assert origins.preflight_headers(preflight())
    with pytest.raises(NotAllowed, match="evil"):
        origins.preflight_headers(preflight(b"https://evil.example.org"))


@pytest.mark.contract("SF-275")
def test_by_default_no_other_origin_may_call() -> None:
    with pytest.raises(NotAllowed):
        Origins(ApiSettings()).preflight_headers(preflight())
    assert Origins(ApiSettings()).answer_headers(PAGE) == []


@pytest.mark.contract("SF-277")
def test_methods_that_are_not_listed_are_refused_in_the_pre_flight() -> None:
    origins = Origins(ApiSettings(cors_origins=("https://app.example.org",), cors_methods=("GET", "POST")))
    with pytest.raises(NotAllowed) as refused:
        origins.preflight_headers(preflight(method=b"DELETE"))
    assert refused.value.details["allowed_values"] == ["GET", "POST"]


@pytest.mark.contract("SF-278")
def test_any_header_may_be_sent_unless_headers_are_listed() -> None:
    open_to_all = Origins(ApiSettings(cors_origins=("*",)))
    assert (b"access-control-allow-headers", b"x-anything") in open_to_all.preflight_headers(preflight(headers=b"x-anything"))
    listed = Origins(ApiSettings(cors_origins=("*",), cors_headers=("X-Mine",)))
    assert listed.preflight_headers(preflight(headers=b"x-mine, content-type"))
    with pytest.raises(NotAllowed, match="x-other"):
        listed.preflight_headers(preflight(headers=b"x-mine, x-other"))


@pytest.mark.contract("SF-276")
def test_cookies_are_never_allowed_to_every_origin() -> None:
    with pytest.raises(ValueError, match="cors_credentials"):
        ApiSettings(cors_origins=("*",), cors_credentials=True)
    listed = Origins(ApiSettings(cors_origins=("https://app.example.org",), cors_credentials=True))
    assert (b"access-control-allow-credentials", b"true") in listed.answer_headers(PAGE)
    assert b"access-control-allow-credentials" not in dict(Origins(ApiSettings(cors_origins=("*",))).answer_headers(PAGE))


def test_an_answer_for_one_origin_is_not_cached_for_another() -> None:
    listed = Origins(ApiSettings(cors_origins=("https://app.example.org",)))
    assert (b"vary", b"Origin") in listed.answer_headers(PAGE)


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        (b"http://127.0.0.1:8000", b"127.0.0.1:8000", True),
        (b"http://127.0.0.1:8001", b"127.0.0.1:8000", False),
        (b"https://weft.example.org", b"weft.example.org", True),
        (b"https://weft.example.org", b"weft.example.org:443", True),
        (b"https://weft.example.org.evil.org", b"weft.example.org", False),
        (b"https://WEFT.example.org", b"weft.example.org", True),
        (b"http://localhost", b"127.0.0.1", False),
        (b"null", b"127.0.0.1", False),
        (b"file://", b"127.0.0.1", False),
        (b"http://[::1]:8000", b"[::1]:8000", True),
        (b"http://host:notaport", b"host", False),
        (b"", b"", False),
        (b"https://", b"", False),
    ],
)
def test_our_own_pages_are_those_of_the_same_host_and_port(origin: bytes, host: bytes, own: bool) -> None:
    assert is_own(origin, host) is own


def test_a_client_that_is_no_browser_sends_no_origin_and_is_at_home() -> None:
    origins = Origins(ApiSettings(cors_origins=("*",)))
    assert origins.is_at_home(None, b"x")
    assert not origins.is_at_home(PAGE, b"x")  # `*` opens the API, not the sessions
