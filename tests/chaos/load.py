"""The load: customers who say one thing after another, and the providers' webhooks that bring it, repeated until they are
taken; some of them several times at once, again later, in one body with others', or long after they were said."""

import asyncio
import contextlib
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import aiohttp

from gateway.model.message import Status
from tests.chaos.history import Answered, Said, Told
from tests.chaos.world import APP_SECRET, SECRET_TOKEN, Customer, age
from tests.providers.bot_api import SECRET_HEADER
from tests.providers.graph import Recorded
from tests.providers.graph_webhooks import (
    messages_webhook,
    signed,
    status,
    statuses_webhook,
    text_message,
)

PATIENCE = 8.0
"""Seconds that a provider waits for an answer."""

SHARES: Final[Mapping[str, float]] = {"at once": 0.1, "again": 0.05, "together": 0.1, "receipts": 0.4}
"""Of webhooks: brought several times at once; once more some seconds later; in one body with others'; with receipts."""

LATER = 15.0
BAG, BAG_SECONDS = 4, 0.2
STATES = ("sent", "delivered", "read")


class Provider:
    """Brings bodies to any of the web processes until one takes them."""

    def __init__(
        self, http: aiohttp.ClientSession, urls: Sequence[str], seed: int, later: float = LATER
    ) -> None:
        """`later`: seconds within which a body that comes once more does."""
        self.answered: list[Answered] = []
        self.told: list[Told] = []
        self.later: set[asyncio.Task[None]] = set()
        self.chance = random.Random(seed)
        self._http = http
        self._urls = urls
        self._later = later
        self.share = SHARES

    async def bring(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Until it is taken."""
        pause = 0.05
        while True:
            began, answer = time.monotonic(), 0
            url = self.chance.choice(self._urls) + path
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with self._http.post(url, data=body, headers=headers) as response:
                    answer = response.status
            self.answered.append(Answered(began, time.monotonic(), answer, path))
            if answer == 200:
                return
            await asyncio.sleep(pause * self.chance.uniform(0.5, 1.0))
            pause = min(1.0, pause * 2)

    async def several(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Some bodies up to four times at once: taken when the first copy is. Some come again later."""
        repeated = self.chance.random() < self.share["at once"]
        copies = self.chance.choice((2, 3, 4)) if repeated else 1
        brought = [self._begun(self.bring(path, body, headers)) for _ in range(copies)]
        if self.chance.random() < self.share["again"]:
            self.soon(self._after(self.chance.uniform(0.5, self._later), path, body, headers))
        await asyncio.wait(brought, return_when=asyncio.FIRST_COMPLETED)

    async def _after(self, seconds: float, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        await asyncio.sleep(seconds)
        await self.bring(path, body, headers)

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        _ = self._begun(work)

    def _begun(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self.later.add(task)
        task.add_done_callback(self.later.discard)
        return task

    async def done(self) -> None:
        while self.later:
            await asyncio.gather(*self.later)

    def receipts(self, channel: str, request: Recorded) -> None:
        """What WhatsApp tells of a message that it took: in any order, twice, late, or nothing; with our id or without."""
        if self.chance.random() >= self.share["receipts"]:
            return
        states = [s for s in STATES for _ in range(self.chance.choice((0, 1, 1, 2)))]
        self.chance.shuffle(states)
        echoed = request.message if self.chance.random() < 0.7 else None
        cut = self.chance.randint(0, len(states))
        for part in (states[:cut], states[cut:]):
            if part:
                self.soon(self._tell(channel, request, part, echoed))

    async def _tell(
        self, channel: str, request: Recorded, states: Sequence[str], message: str | None
    ) -> None:
        await asyncio.sleep(self.chance.uniform(0, 3))
        wamid, to = request.wamid or "", str(request.body["to"])
        told = [status(wamid, s, int(time.time()), recipient=to, message=message) for s in states]
        body = statuses_webhook(told, account=request.phone)
        await self.bring(f"/webhooks/whatsapp/{channel}", body, signed(body, APP_SECRET))
        self.told += [Told(wamid, int(Status[s.upper()]), message) for s in states]


@dataclass
class _Bag:
    """Messages of several customers that will come in one body."""

    messages: list[dict[str, Any]]
    taken: "asyncio.Future[None]"
    full: asyncio.Event


class Customers:
    """Everybody who writes over a provider. `rate`: messages a second of all of them together."""

    def __init__(self, provider: Provider, rate: Callable[[], float]) -> None:
        self.said: dict[str, Said] = {}
        self._provider = provider
        self._rate = rate
        self._bags: dict[str, _Bag] = {}
        self._updates = defaultdict[str, int](lambda: 800_000_000)

    @property
    def acknowledged(self) -> int:
        return sum(s.acknowledged for s in self.said.values())

    async def talk(self, customer: Customer, among: int) -> None:
        """All that a customer says, at a pace at which `among` of them keep to the rate."""
        chance, began = random.Random(customer.seed), time.monotonic()
        for place in range(customer.count):
            # By the clock, not by the last answer: whoever was held up catches up.
            due = began + (place + chance.random()) * among / self._rate()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self.say(customer, place, age(chance), chance)

    async def say(self, customer: Customer, place: int, late: timedelta, chance: random.Random) -> None:
        said = Said(f"{customer.name} says {place}", customer.name, place, False, late > timedelta(hours=23))
        self.said[said.text] = said
        at = int(time.time() - late.total_seconds())
        if customer.kind == "telegram":
            await self._telegram(customer, said.text, place, at)
        else:
            message = text_message(customer.address, said.text, f"wamid.{customer.name}.{place}", at)
            together = chance.random() < self._provider.share["together"]
            await (self._together if together else self._alone)(customer, message)
        self.said[said.text] = replace(said, acknowledged=True)

    async def _telegram(self, customer: Customer, text: str, place: int, at: int) -> None:
        self._updates[customer.account] += 1
        person = {"id": int(customer.address), "is_bot": False, "first_name": "Ana", "language_code": "en"}
        chat = {"id": int(customer.address), "type": "private", "first_name": "Ana"}
        message = {"message_id": place + 1, "date": at, "chat": chat, "from": person, "text": text}
        body = json.dumps({"update_id": self._updates[customer.account], "message": message}).encode()
        headers = {"Content-Type": "application/json", SECRET_HEADER: SECRET_TOKEN}
        await self._provider.several(f"/webhooks/telegram/{customer.channel}", body, headers)

    async def _alone(self, customer: Customer, message: dict[str, Any]) -> None:
        await self._whatsapp(customer.channel, customer.account, [message])

    async def _whatsapp(self, channel: str, account: str, messages: Sequence[dict[str, Any]]) -> None:
        body = messages_webhook(messages, account=account)
        await self._provider.several(f"/webhooks/whatsapp/{channel}", body, signed(body, APP_SECRET))

    async def _together(self, customer: Customer, message: dict[str, Any]) -> None:
        """In one body with what others say at the same time, in any order."""
        bag = self._bags.get(customer.channel)
        if bag is None:
            bag = _Bag([], asyncio.get_running_loop().create_future(), asyncio.Event())
            self._bags[customer.channel] = bag
            self._provider.soon(self._emptied(customer, bag))
        bag.messages.append(message)
        if len(bag.messages) >= BAG:
            bag.full.set()
        await bag.taken

    async def _emptied(self, customer: Customer, bag: _Bag) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(bag.full.wait(), BAG_SECONDS)
        del self._bags[customer.channel]
        self._provider.chance.shuffle(bag.messages)
        await self._whatsapp(customer.channel, customer.account, bag.messages)
        bag.taken.set_result(None)
