"""The door: how often one address may come in, and how often it may guess.

An address is who speaks to us: behind a proxy that we trust, whom the proxy names (`X-Forwarded-For`, from its right end). This
machine itself is not counted.
"""

import hashlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from aiohttp import web
from loguru import logger

from gateway.model.limits import LIMITS, Limits
from gateway.ops.problems import problem

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ENTRANCES: Final = frozenset({"/widget/session", "/widget/ws", "/widget/files"})
"""Where anybody may come in who has no key: these visits are counted."""

WEBHOOKS: Final = "/webhooks/"

KEPT: Final = 10_000
MOST_HOPS: Final = 16


class Door:
    def __init__(
        self, limits: Limits, trusted: Sequence[Network], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`trusted`: where our own proxies are."""
        self._limits = limits
        self._trusted = tuple(trusted)
        self._monotonic = monotonic
        # Who guessed too often, and until when: refused without asking anybody.
        self._shut: OrderedDict[str, float] = OrderedDict()
        self._warned = False

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A middleware: whatever answers 401 was a guess, at one account's door where the path names one."""
        # A webhook's path only: whatever an API path names, a key is guessed all the same.
        what = request.match_info.get("channel", "") if request.path.startswith(WEBHOOKS) else ""
        if (refusal := self.shut(request, what)) is not None:
            return refusal
        if request.path in ENTRANCES and (refusal := await self.entered(request)) is not None:
            return refusal
        answer = await handler(request)
        if answer.status == 401:
            await self.guessed(request, what)
        return answer

    async def entered(self, request: web.Request) -> web.Response | None:
        """Count a visit of an address; the refusal when there were too many."""
        who = self._who(request)
        wait = await self._limits.take("address", who) if who else 0.0
        return too_many("address", wait) if wait else None

    def shut(self, request: web.Request, what: str = "") -> web.Response | None:
        """The refusal for an address that guessed too often, before anything of its request is looked at. `what` is what
        it may guess at: another account's door stays open."""
        who = self._who(request)
        guess = _guess(who, what) if who else ""
        until = self._shut.get(guess)
        if until is None:
            return None
        wait = until - self._monotonic()
        if wait <= 0:
            del self._shut[guess]
            return None
        return too_many("guess", wait)

    async def guessed(self, request: web.Request, what: str = "") -> None:
        """An address showed a key, a token, a link or a signature that is none."""
        who = self._who(request)
        if who and await self._limits.take("guess", _guess(who, what)):
            self._shut[_guess(who, what)] = self._monotonic() + LIMITS["guess"].seconds
            while len(self._shut) > KEPT:
                self._shut.popitem(last=False)

    def _who(self, request: web.Request) -> str | None:
        """A short name for an address, which does not show it; None for this machine."""
        address = self._address(request)
        if address is None or address.is_loopback:
            return None
        # Whoever has one address of IPv6 has the whole /64.
        name = ipaddress.ip_network((address, 64), strict=False) if address.version == 6 else address
        return hashlib.sha256(str(name).encode()).hexdigest()[:24]

    def _address(self, request: web.Request) -> Address | None:
        address = _read(request.remote or "")
        # A proxy may add to the header that is there, or add one of its own behind it.
        hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        for hop in reversed(hops[-MOST_HOPS:]):
            if address is None or not any(address in n for n in self._trusted):
                if hop.strip() and not self._warned:
                    self._warned = True
                    logger.warning(
                        "X-Forwarded-For comes from an address that is not in TRUSTED_PROXIES: everybody behind it is"
                        " counted as one"
                    )
                break
            address = _read(hop) or address
        return address


def _guess(who: str, what: str) -> str:
    """A short name for an address and what it guesses at, however long that is."""
    return hashlib.sha256(f"{who}|{what}".encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _read(text: str) -> Address | None:
    """An address as a proxy writes it, with or without a port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def too_many(code: str, wait: float) -> web.Response:
    """429: who asks says how long to wait."""
    seconds = str(max(1, round(wait)))
    detail = f"Too many requests. Wait {seconds} seconds."
    # A page of any origin may read it: it says nothing of anybody.
    headers = {
        "Retry-After": seconds,
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Retry-After",
    }
    return problem(429, f"limit_{code}", detail, headers=headers)
