"""Rows 10-12 and 18-21 on a whole stack: real processes, a real Redis, the real embedded database."""

import asyncio
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from gateway.model.message import Status
from gateway.store.database import connect, database
from tests.chaos.history import Doc
from tests.chaos.run import taken
from tests.chaos.world import APP_SECRET, SECRET_TOKEN, Customer
from tests.proof.live import Live, live
from tests.providers.bot_api import SECRET_HEADER
from tests.providers.graph import Fault
from tests.providers.graph_webhooks import (
    jumbled,
    receipts,
    signed,
    status,
    statuses_webhook,
    text_webhook,
)

pytestmark = pytest.mark.timeout(240)


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def docs(it: Live) -> list[Doc]:
    client = connect(it.it.stack.database.uri)
    try:
        found: list[Doc] = await database(client)["messages"].find({}).to_list()
        return found
    finally:
        await client.close()


async def bring(it: Live, customer: Customer, body: bytes, web: int) -> int:
    """One webhook to one of the web processes: the status."""
    url = f"{it.it.stack.webs[web].url}/webhooks/whatsapp/{customer.channel}"
    async with it.it.http.post(url, data=body, headers=signed(body, APP_SECRET)) as answer:
        return answer.status


async def test_each_webhook_four_times_at_once_through_two_processes_has_one_effect(tmp_path: Path) -> None:
    """Row 18."""
    async with live(tmp_path) as it:
        for place in range(12):
            customer = it.customer(place)
            body = text_webhook(
                customer.address,
                f"echo {place}",
                f"wamid.{place}",
                int(time.time()),
                account=customer.account,
            )
            brought = [bring(it, customer, body, web % 2) for web in range(4)]
            assert await asyncio.gather(*brought) == [200] * 4
        assert (await it.verdict()).passed
        assert sorted(t.text for t in taken(it.it)) == sorted(f"echo {n}" for n in range(12))
        assert len(await docs(it)) == 24


async def test_shuffled_and_doubled_receipts_through_two_processes_set_nothing_back(tmp_path: Path) -> None:
    """Row 19. What a status is never falls, at no moment: it is looked at after every receipt."""
    async with live(tmp_path) as it:
        customers = [it.customer(n) for n in range(4)]
        for customer in customers:
            await it.say(customer, 0)
        await until(lambda: len(taken(it.it)) == len(customers))
        told = []
        for sent in it.it.providers.whatsapp.messages():
            states = receipts(
                sent.wamid or "", int(time.time()), recipient=str(sent.body["to"]), message=sent.message
            )
            told += [(it.customer(int(str(sent.body["to"])[-2:])), s) for s in states]
        highest: dict[str, int] = {}
        for place, (customer, state) in enumerate(jumbled(told, seed=19)):
            body = statuses_webhook([state], account=customer.account)
            assert await bring(it, customer, body, place % 2) == 200
            for doc in await docs(it):
                assert doc["status"] >= highest.get(doc["_id"], 0)
                highest[doc["_id"]] = doc["status"]
        assert (await it.verdict()).passed
        assert {d["status"] for d in await docs(it) if d["direction"] == "out"} == {int(Status.READ)}


async def test_a_webhook_seven_days_late_is_processed_once(tmp_path: Path) -> None:
    """Row 20. WhatsApp's window has closed by then: it is kept and seen, its answer held; Telegram has none. Each comes again."""
    async with live(tmp_path) as it:
        customer = it.customer(0)
        late = int(time.time() - timedelta(days=7).total_seconds())
        body = text_webhook(customer.address, "echo late", "wamid.late", late, account=customer.account)
        for web in (0, 1, 0):
            assert await bring(it, customer, body, web) == 200
            await write(it, 1, "hola", at=late)
        assert not (await it.verdict()).findings
        found = await docs(it)
        assert sorted(d["content"]["text"] for d in found if d["direction"] == "in") == ["echo late", "hola"]
        assert [t.text for t in taken(it.it)] == ["hola"]
        [unsent] = [d for d in found if d["direction"] == "out" and d["status"] == int(Status.HELD)]
        assert unsent["failure"]["code"] == "permission:window_closed"


async def test_told_to_end_in_mid_flight_each_process_ends_and_nothing_is_lost(tmp_path: Path) -> None:
    """Row 21. Sends are under way at a slow provider when every process is told; the next ones do what is left."""
    async with live(tmp_path) as it:
        customers = [it.customer(n) for n in range(20)]
        it.it.providers.whatsapp.always(Fault("slow", seconds=1.0, only="/messages"))
        for customer in customers:
            for place in range(2):
                await it.say(customer, place)
        for gateway in it.it.stack.gateways:
            gateway.signal(signal.SIGTERM)
        async with asyncio.timeout(30):  # the row's own bound
            await asyncio.gather(*(g.ended() for g in it.it.stack.gateways))
        it.it.providers.whatsapp.always(None)
        verdict = await it.verdict()
        assert not verdict.findings
        assert verdict.counts["answered"] == 40
        assert (
            verdict.counts["copies"] == 0
        )  # what was under way came to its end: nothing is even possibly doubled
        assert [e.code for g in it.it.stack.gateways for e in g.ends] == [0] * 3


@pytest.mark.parametrize("seconds", [4, pytest.param(30, marks=pytest.mark.slow)])
async def test_a_database_that_stands_still_and_is_killed_takes_nothing_with_it(
    tmp_path: Path, seconds: int
) -> None:
    """Row 10. Stopped, then killed while it stands; no 2xx meanwhile; all goes on by itself."""
    async with live(tmp_path) as it:
        customers = [it.customer(n) for n in range(10)]
        for customer in customers:
            await it.say(customer, 0)
        stack = it.it.stack
        async with stack.still("database", stack.database.stop, lambda: None):
            more = [asyncio.create_task(it.say(c, n)) for c in customers for n in (1,)]
            await asyncio.sleep(seconds)  # how long it stands still is the fault itself
            assert not any(t.done() for t in more)
        stack.database.signal(signal.SIGKILL)
        async with asyncio.timeout(90):
            await asyncio.gather(*more)
        verdict = await it.verdict()
        assert not verdict.findings
        assert verdict.counts["answered"] == 20
        assert all(g.started == 1 for g in stack.gateways)
        for web in stack.webs:
            async with it.it.http.get(f"{web.url}/ready") as answer:
                assert answer.status == 200


async def test_a_flushed_redis_loses_nothing_and_messages_nobody_who_said_stop(tmp_path: Path) -> None:
    """Row 11. It is flushed again and again while people write."""
    async with live(tmp_path) as it:
        others = [it.customer(n) for n in range(8)]
        await write(it, 1, "/stop")
        await until(lambda: len(heard(it)) == 1)
        last = heard(it)
        redis = it.it.stack.redis
        assert redis is not None
        for place in range(4):
            redis.flush()
            for customer in others:
                await it.say(customer, place)
            await write(it, place + 2, f"hello {place}")
            redis.flush()
        assert not (await it.verdict()).findings
        for customer in others:
            assert it.answers(customer) == [f"{customer.name} says {n}" for n in range(4)]
        assert heard(it) == last
        said = [d["content"].get("text") for d in await docs(it) if d["channel"] == "tg0"]
        assert [t for t in said if str(t).startswith("hello")] == [f"hello {n}" for n in range(4)]


def heard(it: Live) -> list[str]:
    """What the one on Telegram was told."""
    return [t.text for t in it.it.providers.telegram.taken() if t.to == "4242"]


async def write(it: Live, number: int, text: str, at: float | None = None) -> None:
    """The one on Telegram writes, to a web process that the number decides."""
    person = {"id": 4242, "first_name": "Ana"}
    message = {
        "message_id": number,
        "date": int(at or time.time()),
        "chat": {**person, "type": "private"},
        "from": {**person, "is_bot": False},
        "text": text,
    }
    if text.startswith("/"):
        message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text)}]
    url = f"{it.it.stack.webs[number % 2].url}/webhooks/telegram/tg0"
    body, secret = {"update_id": number, "message": message}, {SECRET_HEADER: SECRET_TOKEN}
    async with it.it.http.post(url, json=body, headers=secret) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("how", ["killed", "hangs"])
async def test_without_redis_messages_are_answered_and_guessing_is_still_bounded(
    tmp_path: Path, how: str
) -> None:
    """Row 12: who shows wrong signatures again and again is refused by each process by itself."""
    async with live(tmp_path, TRUSTED_PROXIES="127.0.0.1/32") as it:
        redis = it.it.stack.redis
        assert redis is not None
        customers = [it.customer(n) for n in range(6)]
        await it.say(customers[0], 0)
        (redis.kill if how == "killed" else redis.pause)()
        for customer in customers:
            await it.say(customer, 1)
        await until(lambda: len(taken(it.it)) == 7)
        web = it.it.stack.webs[0]
        refused = [await guess(it.it.http, web.url) for _ in range(80)]
        assert refused.count(401) <= 61  # the one over the limit shows it
        assert refused[-1] == 429
        (redis.start if how == "killed" else redis.go_on)()
        await it.say(customers[0], 2)
        assert not (await it.verdict()).findings


async def guess(http: aiohttp.ClientSession, url: str) -> int:
    """A webhook with a wrong signature, by way of a proxy that names who sent it."""
    headers = {**signed(b"{}", "another secret"), "X-Forwarded-For": "203.0.113.9"}
    async with http.post(f"{url}/webhooks/whatsapp/wa0", data=b"{}", headers=headers) as answer:
        return answer.status


async def test_a_killed_process_s_unknown_message_is_resolved_by_the_providers_receipt(
    tmp_path: Path,
) -> None:
    """Row 9, over processes: killed after the provider took it, told by its receipt, sent once."""
    async with live(tmp_path) as it:
        customer = it.customer(0)
        it.it.providers.whatsapp.misbehave(Fault("drop", only="/messages"), 4)
        await it.say(customer, 0)
        await until(lambda: bool(it.answers(customer)))
        for gateway in it.it.stack.gateways:
            gateway.signal(signal.SIGKILL)
        [sent] = it.it.providers.whatsapp.messages()[:1]
        it.it.providers.whatsapp._faults.clear()
        await asyncio.gather(*(g.ended() for g in it.it.stack.gateways))
        await asyncio.gather(*(g.ready(it.it.http) for g in it.it.stack.gateways))
        told = status(
            sent.wamid or "", "delivered", int(time.time()), recipient=customer.address, message=sent.message
        )
        assert await bring(it, customer, statuses_webhook([told], account=customer.account), 1) == 200
        verdict = await it.verdict()
        assert not verdict.findings
        assert verdict.counts["copies"] == 0
