"""Where outgoing connections may go: nobody makes this installation call itself, its cloud or its network by naming them."""

import asyncio
import socket

import pytest

from weft.alerts.notify.attempt import wait_s
from weft.alerts.notify.destinations import Destinations
from weft.alerts.notify.settings import NotifySettings
from weft.core.errors import Invalid, NotAllowed, Unavailable

NEVER = [
    "169.254.169.254", "169.254.1.1", "100.100.100.200", "168.63.129.16", "0.0.0.0", "224.0.0.1", "255.255.255.255",
    "fe80::1", "ff02::1", "::", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize(("allowed", "environment"), [((), "development"), (("*", "0.0.0.0/0", "::/0"), "production")])
async def test_some_addresses_are_never_reached(address: str, allowed: tuple[str, ...], environment: str) -> None:
    destinations = Destinations(allowed, environment=environment)

    with pytest.raises(Invalid):
        destinations.check_host(address, field="settings.url")
    with pytest.raises(NotAllowed):
        await destinations.find(address, 80)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "localhost"])
async def test_loopback_is_for_development_or_for_who_names_it(address: str) -> None:
    assert await Destinations((), environment="development").find(address, 80)
    for allowed in ((), ("*",), ("hooks.example.org",)):
        with pytest.raises(NotAllowed):
            await Destinations(allowed, environment="production").find(address, 80)
    assert await Destinations(("127.0.0.0/8", "::1"), environment="production").find(address, 80)


async def test_a_name_that_leads_to_loopback_is_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]

    async def look_up(*_: object, **__: object) -> list[object]:
        return list(answer)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    destinations = Destinations(("*", "*.example.org", "hooks.example.org"), environment="production")

    for host in ("hooks.example.org", "x.example.org", "else.example.com"):
        with pytest.raises(NotAllowed, match=r"127\.0\.0\.1"):
            await destinations.find(host, 80)


async def test_of_several_addresses_one_that_may_be_reached_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ["169.254.169.254", "10.0.0.8", "93.184.215.14"]

    async def look_up(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)

    assert await Destinations(("*",), environment="production").find("a.example.com", 80) == "93.184.215.14"
    assert await Destinations(("a.example.com",), environment="production").find("a.example.com", 80) == "10.0.0.8"
    assert await Destinations(("10.0.0.0/24",), environment="production").find("a.example.com", 80) == "10.0.0.8"


async def test_a_private_address_is_reached_only_where_it_is_named() -> None:
    with pytest.raises(NotAllowed, match="allowed_hosts"):
        await Destinations(("*",), environment="production").find("192.168.1.10", 80)

    assert await Destinations(("192.168.1.0/24",), environment="production").find("192.168.1.10", 80) == "192.168.1.10"
    assert await Destinations(("192.168.1.10",), environment="production").find("192.168.1.10", 80) == "192.168.1.10"


def test_production_sends_nowhere_until_somebody_says_where() -> None:
    with pytest.raises(Invalid, match=r"alerts\.notify\.allowed_hosts"):
        Destinations((), environment="production").check_host("hooks.slack.com", field="settings.url")

    Destinations(("hooks.slack.com",), environment="production").check_host("HOOKS.slack.com.", field="settings.url")
    Destinations(("*.slack.com",), environment="production").check_host("hooks.slack.com", field="settings.url")
    with pytest.raises(Invalid):
        Destinations(("*.slack.com",), environment="production").check_host("evilslack.com", field="settings.url")


async def test_an_unknown_name_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    with pytest.raises(Unavailable, match=r"gone\.example"):
        await Destinations((), environment="development").find("gone.example", 80)


@pytest.mark.parametrize("entry", ["http://hooks.slack.com", "a b", "*x", "host:80", "*."])
def test_an_entry_that_means_nothing_is_refused_at_start(entry: str) -> None:
    with pytest.raises(Invalid, match=r"alerts\.notify\.allowed_hosts"):
        Destinations((entry,), environment="production")


def test_waiting_grows_up_to_a_limit_and_no_two_wait_alike() -> None:
    settings = NotifySettings()
    middle = [wait_s(number, settings=settings, chance=lambda: 0.5) for number in range(1, 40)]

    assert middle[:4] == [1, 2, 4, 8]
    assert middle[-1] == settings.longest_retry_s
    assert wait_s(1, settings=settings, chance=lambda: 0.0) == pytest.approx(0.8)
    assert wait_s(1, settings=settings, chance=lambda: 1.0) == pytest.approx(1.2)
    assert wait_s(1, asked_s=90, settings=settings) == 90
