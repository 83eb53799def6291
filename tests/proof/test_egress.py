"""Row 47: whatever a site's address, name server or redirect says, nothing inside is connected to."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from yarl import URL

from brain.crawl.crawler import Budget, Crawl
from brain.crawl.fetch import Failed, Size, fetch
from gateway.ops.egress import Blocked, Egress, is_public
from tests.knowledge.site import HTML, Given, WebSite

INSIDE = (
    *(
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
    ),
    *(
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
    ),
    *(
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
    ),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:169.254.169.254"),
    *(
        "64:ff9b::7f00:1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:7f00:1::",
        "2001:10::1",
    ),
    *(
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::",
        "2002:808:808::",
        "3fff::1",
        "5f00::1",
    ),
    *("fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "ff0e::1"),
)
OUTSIDE = (
    *("1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "192.169.0.1"),
    *("2606:4700:4700::1111", "2a00:1450:4001:82a::200e"),
)

HOSTS = (
    "127.0.0.1", "2130706433", "017700000001", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.1", "0",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fe80::1]", "[fd00:ec2::254]",
    "169.254.169.254", "2852039166", "0xa9fea9fe", "localhost", "localhost.", "ip6-localhost", "127.0.0.1.",
    "１２７.0.0.1", "127。0。0。1",
)  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_no_address_inside_is_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_addresses_of_the_internet_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


class Taps:
    """Every connection that anything in this process makes, and what would have been connected to."""

    def __init__(self) -> None:
        self.made: list[Any] = []


@pytest.fixture
def taps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Taps]:
    found = Taps()
    loop = asyncio.SelectorEventLoop
    connect = loop.sock_connect

    async def tapped(self: Any, sock: socket.socket, address: Any) -> None:
        found.made.append(address)
        await connect(self, sock, address)

    monkeypatch.setattr(loop, "sock_connect", tapped)
    yield found


@asynccontextmanager
async def inner_service() -> AsyncIterator[tuple[WebSite, int]]:
    """What must not be reached: a service of our own on this machine."""
    async with WebSite() as site:
        site.made = lambda _: Given("secret of the inside")
        yield site, URL(site.url).port or 0


async def test_no_form_of_an_address_inside_is_connected_to(taps: Taps) -> None:
    """The ports are open to it: only the address decides."""
    async with inner_service() as (site, port):
        taps.made.clear()
        egress = Egress(ports={port, 80, 443})
        async with egress.session() as session:
            for host in HOSTS:
                for where in (f"http://{host}:{port}/", f"http://{host}/latest/meta-data/"):
                    with pytest.raises((Failed, ValueError)):
                        await fetch(session, URL(where), egress.refusal, Size(1000, 5))
                    # Without the look at the address before: the socket alone must hold.
                    with pytest.raises((Failed, ValueError)):
                        await fetch(session, URL(where), lambda _: None, Size(1000, 5))
        assert (taps.made, site.asked) == ([], [])


async def test_the_tap_sees_a_connection_that_is_allowed(taps: Taps) -> None:
    async with inner_service() as (site, port):
        egress = Egress([ipaddress.ip_network("127.0.0.0/8")])
        async with egress.session() as session:
            reply = await fetch(session, URL(site.url), egress.refusal, Size(1000, 5))
    assert reply.body == b"secret of the inside"
    assert taps.made == [("127.0.0.1", port)]


async def test_a_name_that_is_public_when_checked_and_inside_when_used(
    taps: Taps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebinding: the name server gives another address each time. Whatever was looked up first, the socket's counts."""
    answers = ["93.184.216.34"]
    looked_up: list[str] = []

    async with inner_service() as (site, port):
        loop = asyncio.get_running_loop()

        async def getaddrinfo(host: str, _port: int, **_: Any) -> list[Any]:
            looked_up.append(host)
            address = answers.pop(0) if answers else "127.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, _port))]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        egress = Egress(ports={port})
        first = await loop.getaddrinfo("rebind.example", port)
        egress.check(str(first[0][4][0]), port)  # a check beforehand would have passed
        taps.made.clear()
        async with egress.session() as session:
            for _ in range(3):
                with pytest.raises(Failed, match="not on the public internet"):
                    await fetch(session, URL(f"http://rebind.example:{port}/"), egress.refusal, Size(1000, 5))
        assert looked_up[1:] == ["rebind.example"] * 3
        assert (taps.made, site.asked) == ([], [])


async def test_a_redirect_inward_is_not_followed(taps: Taps) -> None:
    """A site that may be read sends us on to one that may not, with each kind of redirect and form of address."""
    async with WebSite() as site, inner_service() as (inner, port):
        outer = URL(site.url).port or 0

        class Narrow(Egress):
            """The first site stands for the public internet: its port, and no other, may be reached on this machine."""

            def _passes(self, address: Any, to: int) -> bool:
                return to == outer if address.is_loopback else super()._passes(address, to)

        egress = Narrow([ipaddress.ip_network("127.0.0.1/32")], ports={port, 80, 443})
        targets = [f"http://{host}:{port}/x" for host in HOSTS] + [
            "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "gopher://127.0.0.1/", "//[::1]/",
            f"http://127.0.0.1:{port}/",
        ]  # fmt: skip
        async with egress.session() as session:
            for status in (301, 302, 303, 307, 308):
                for n, target in enumerate(targets):
                    site.pages[f"/{status}/{n}"] = Given(
                        "", status, {"Location": target.encode().decode("latin-1")}
                    )
                    with pytest.raises((Failed, ValueError)):
                        await fetch(session, URL(f"{site.url}/{status}/{n}"), egress.refusal, Size(1000, 5))
        assert inner.asked == []
        assert {made[1] for made in taps.made} <= {outer}


async def test_a_crawl_that_is_sent_inward_ends_in_a_reason(taps: Taps) -> None:
    async with WebSite() as site, inner_service() as (inner, port):
        outer = URL(site.url).port or 0
        site.page("/", "Home", "Text.", f"http://127.0.0.1:{port}/", "/away", "http://169.254.169.254/")
        site.pages["/away"] = Given("", 302, {**HTML, "Location": f"http://127.0.0.1:{port}/secret"})
        site.give("/robots.txt", f"Sitemap: http://127.0.0.1:{port}/sitemap.xml\n", Content_Type="text/plain")
        egress = Egress([ipaddress.ip_network("127.0.0.0/8")])
        async with egress.session() as session:
            crawl = Crawl(session, site.url, egress.refusal, Budget(pause=0))
            found = {p.url.removeprefix(site.url): p.reason or "read" async for p in crawl.pages()}
        assert found == {"/": "read", "/away": "The page leads to another site."}
        assert inner.asked == []
        assert {made[1] for made in taps.made} == {outer}


@pytest.mark.parametrize("place", [("127.0.0.1", 80), ("8.8.8.8", 22), ("::1", 443, 0, 0), ("nonsense", 80)])
def test_the_socket_itself_refuses(place: tuple[Any, ...]) -> None:
    with pytest.raises(Blocked):
        Egress().socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", place))
