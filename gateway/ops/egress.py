"""Requests to addresses that a tenant named: to the public internet only, never to us, our neighbours or our host.

What counts is the address that a socket is about to connect to, not the name that it was looked up from: a name that
resolves to one address when it is checked and to another when it is used (rebinding), a redirect inward, `2130706433`,
`0x7f.1` or `[::ffff:7f00:1]` all end at the same place, the socket's. So every connection passes `Egress.socket`, which aiohttp
calls with the resolved address right before it connects (`TCPConnector(socket_factory=…)`,
https://docs.aiohttp.org/en/stable/client_reference.html#aiohttp.TCPConnector).

Which addresses are public: the IANA registries for special purposes
(https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry).
"""

import ipaddress
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Final

import aiohttp
from yarl import URL

PORTS: Final = frozenset((80, 443))
_V6: Final = ipaddress.IPv6Network("2000::/3")
"""The only part of IPv6 that is given out as globally routable."""

_NOT_V6: Final = tuple(
    ipaddress.IPv6Network(n)
    for n in (
        "2001::/23",  # protocol assignments, with Teredo (2001::/32) and ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)
_NOT_V4: Final = (ipaddress.IPv4Network("192.88.99.0/24"),)  # relays of 6to4

Network = IPv4Network | IPv6Network


class Blocked(OSError):
    """A connection that was not made. The text says why, without the address."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is globally routable and leads nowhere else inside (as NAT64, 6to4 and mapped ones do)."""
    if isinstance(address, IPv6Address):
        # NAT64 (64:ff9b::/96), mapped IPv4, loopback, link-local, unique local and multicast lie outside 2000::/3.
        return (
            address in _V6
            and address.is_global
            and address.scope_id is None
            and not any(address in network for network in _NOT_V6)
        )
    if address.is_multicast or any(address in network for network in _NOT_V4):
        return False
    return address.is_global


class Egress:
    """The way out. `allow` names networks that may be reached besides (tests; a business's own intranet), on any port."""

    def __init__(self, allow: Iterable[Network] = (), ports: Iterable[int] = PORTS) -> None:
        self._allow = tuple(allow)
        self._ports = frozenset(ports)

    def session(self) -> aiohttp.ClientSession:
        """A session of its own, whose every connection is checked. It follows no proxy, keeps no cookies."""
        connector = aiohttp.TCPConnector(
            limit=8, limit_per_host=4, use_dns_cache=False, socket_factory=self.socket, force_close=False
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=30, sock_connect=10),
        )

    def refusal(self, url: URL) -> str | None:
        """Why an address is not even tried; the socket has the last word on the rest."""
        if url.scheme not in ("http", "https"):
            return "Only http and https addresses are read."
        if not url.host or any(char.isspace() or char in '<>"{}|\\^`%' for char in url.host):
            return "The address has no host that could be a name."
        if url.user is not None or url.password is not None:
            return "Addresses with a user name or a password in them are not read."
        if url.port not in self._ports and not self._allow:
            return "Only the usual ports of the web (80 and 443) are used."
        try:
            literal = ipaddress.ip_address(url.host)
        except ValueError:
            return None
        return None if self._passes(literal, url.port or 0) else _INWARD

    def check(self, host: str, port: int) -> None:
        """Raises Blocked for an address, as a socket takes it, that must not be connected to."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise Blocked("The address of the site can't be read.") from None
        if not self._passes(address, port):
            raise Blocked(_INWARD)

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for what `getaddrinfo` gave, if it may be connected to. Raises Blocked."""
        family, kind, protocol, _, place = info
        self.check(str(place[0]), int(place[1]))
        return socket.socket(family=family, type=kind, proto=protocol)

    def _passes(self, address: IPv4Address | IPv6Address, port: int) -> bool:
        if any(address.version == network.version and address in network for network in self._allow):
            return True
        return port in self._ports and is_public(address)


_INWARD: Final = "The site leads to an address that is not on the public internet."
