"""Whose address counts: only what a trusted proxy says is believed, else anybody could borrow another's limit."""

from ipaddress import ip_network

import pytest

from weft.api.exchange import HeaderView, client_ip_of, plain_address

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.contract("SF-D33")
@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", b"198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", b"198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", b"1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", b"198.51.100.1, 10.0.0.7", "198.51.100.1"),
        ("10.0.0.1", b"10.0.0.9, 10.0.0.7", "10.0.0.9"),
        ("10.0.0.1", b"198.51.100.1:5123", "198.51.100.1"),
        ("10.0.0.1", b"[2001:db8::1]:443", "2001:db8::1"),
        ("::1", b"2001:db8::2", "2001:db8::2"),
        ("10.0.0.1", b"198.51.100.1, <script>", "10.0.0.1"),
        ("", b"198.51.100.1", ""),
        ("10.0.0.1", b"::ffff:198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", b"198.51.100.1, ::ffff:10.0.0.7", "198.51.100.1"),
    ],
)
def test_the_right_most_hop_that_is_no_trusted_proxy_is_the_client(peer: str, forwarded: bytes | None, client: str) -> None:
    assert client_ip_of(peer, forwarded, TRUSTED) == client


def test_without_trusted_proxies_nothing_is_believed() -> None:
    assert client_ip_of("127.0.0.1", b"198.51.100.1", ()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("shown", "plain"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::1"), ("", "")],
)
def test_an_ipv4_client_is_the_same_on_a_socket_for_both_families(shown: str, plain: str) -> None:
    assert plain_address(shown) == plain


def test_headers_read_as_text_behave_like_a_mapping() -> None:
    view = HeaderView({b"x-name": "Käse".encode("latin-1")})
    assert view["x-name"] == "Käse"
    assert view.get("other") is None
    assert view.get("other", "none") == "none"
    assert dict(view) == {"x-name": "Käse"}
    assert "x-name" in view
    assert "käse" not in view
