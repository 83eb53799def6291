"""`campaign`: 100,000 recipients prepared from a file, and from a filter; `decide`; the facts of one decision in round trips."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import time as time_of_day
from datetime import timedelta
from pathlib import Path

from channels.whatsapp.adapter import WhatsAppAdapter
from consent.facts import Facts, TemplateFacts
from consent.permission import decide
from gateway import media
from gateway.bootstrap import open_store
from gateway.campaigns_audience import Audience
from gateway.campaigns_prepare import Preparing
from gateway.facts import Permission
from gateway.model.campaign import Campaign
from gateway.model.clock import system_clock
from gateway.model.consent import Entry, Standing, entry_id
from gateway.model.content import Template
from gateway.model.conversation import Conversation
from gateway.model.identity import Identity
from gateway.model.message import Message, Status, contact_id
from gateway.model.permission import Cap, Permissions, Quiet
from gateway.model.ports import Adapter
from gateway.model.template import TemplateDef, template_id
from gateway.model.tenant import Channel, Tenant
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.codec import conversation_to_doc
from gateway.store.consent_docs import entry_to_doc
from gateway.store.database import RoundTrips
from gateway.store.people import conversation_of
from tests.bench.rig import Row, at_most, folder, plain, show

RECIPIENTS = 100_000
BATCH = 1000
ACCOUNT = "102290129340398"


async def run(scale: float) -> bool:
    count = max(2000, int(RECIPIENTS * scale))
    rows = [at_most("decide", _decide(), 20.0, "us")]
    async with folder() as data:
        trips = RoundTrips()
        async with open_store(Settings(data_dir=data / "d"), listener=trips, say=lambda _: None) as store:
            await _fill(store, count)
            rows.append(at_most("facts of one decision: round trips", await _facts(store, trips), 2, ""))
            file = await _upload(store, count)
            rows += await _prepared(store, trips, "from a file", {"csv": file}, count)
            rows += await _prepared(store, trips, "from a filter", {"filter": {}}, count)
    return show(f"campaign: {count:,} recipients on the embedded database", rows)


async def _prepared(
    store: Store, trips: RoundTrips, how: str, audience: dict[str, object], count: int
) -> list[Row]:
    now = system_clock()
    campaign = Campaign(
        id=f"cm_{how[-4:]}", tenant="t0", channel="ch_wa0", name="bench", template="news", languages=("es",),
        created=now, variables={"1": "contact.name|friend"}, state="preparing",
        audience=Audience.model_validate(audience).model_dump(exclude_none=True),
    )  # fmt: skip
    await store.of("t0").campaigns.add(campaign)
    adapters = _adapters()

    async def still() -> bool:
        return True

    before, calls, start = _memory(), trips.total, time.perf_counter()
    peak = _Peak(before)
    ready = await Preparing(store, adapters, peak.clock, still).run(campaign)
    took, most = time.perf_counter() - start, peak.most - before
    estimate = ready.estimate
    assert estimate["recipients"] == count, estimate
    assert estimate["allowed"] + sum(estimate["refused"].values()) == count
    share = count / RECIPIENTS
    return [
        at_most(f"{how}: seconds", took, 60.0 * share, "s"),
        at_most(f"{how}: more memory", most / 2**20, 100.0, "MB"),
        plain(f"{how}: database calls a recipient", f"{(trips.total - calls) / count:.3f}"),
    ]


class _Peak:
    """The most memory that was seen: looked at whenever something asks the time."""

    def __init__(self, first: int) -> None:
        self.most = first

    def clock(self):  # type: ignore[no-untyped-def]
        self.most = max(self.most, _memory())
        return system_clock()


def _memory() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _adapters() -> dict[str, Adapter]:
    class Bound:
        """What preparing asks of an adapter, without its connections."""

        kind = "whatsapp"
        capabilities = WhatsAppAdapter.capabilities

        def rates(self, channel: Channel, address: str) -> object:
            return self.capabilities.rates

    return {"whatsapp": Bound()}  # type: ignore[dict-item]


async def _fill(store: Store, count: int) -> None:
    """A tenant whose customers are half known, half new; most have agreed."""
    now = system_clock()
    await store.directory.add_tenant(Tenant("t0", "t0", now, region="ES"))
    await store.directory.set_permissions("t0", Permissions(timezone="Europe/Madrid"))
    secrets = {"access_token": "x" * 20, "app_secret": "y" * 20, "verify_token": "z" * 20}
    number = Channel(
        "ch_wa0", "t0", "whatsapp", "1", "number", now, config={"waba_id": ACCOUNT}, secrets=secrets
    )
    await store.directory.add_channel(number)
    await store.of("t0").templates.put(_template(store))
    db = store._db
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        talks = [_talk(n, known=True) for n in numbers]
        await db["conversations"].insert_many([conversation_to_doc(t) for t in talks], ordered=False)
        await db["ledger"].insert_many([entry_to_doc(_entry(n)) for n in numbers if n % 10], ordered=False)


def _template(store: Store) -> TemplateDef:
    return TemplateDef(
        template_id("t0", ACCOUNT, "news", "es"), "t0", ACCOUNT, "news", "es", "MARKETING",
        "Hola {{1}}, hay novedades. STOP para terminar.", system_clock(), state="APPROVED", examples={"1": "Ana"},
    )  # fmt: skip


def _address(number: int) -> str:
    return str(34_600_000_000 + number)


def _talk(number: int, *, known: bool) -> Conversation:
    now, identity = system_clock(), Identity("whatsapp", "", _address(number))
    contact = contact_id("t0", "whatsapp", "", identity.id)
    standing = {"marketing": Standing("granted", now, "import", "ce_x")} if number % 10 else {}
    return Conversation(
        conversation_of("ch_wa0", identity), "t0", "ch_wa0", contact, identity.id, now, name=f"Customer {number}",
        last_in=now - timedelta(days=3), last_at=now, consents=standing, preview="hello",
    )  # fmt: skip


def _entry(number: int) -> Entry:
    now, contact = system_clock(), contact_id("t0", "whatsapp", "", _address(number))
    return Entry(
        entry_id("t0", str(number)), "t0", "ch_wa0", contact, "marketing", "granted", "import", now, now,
        evidence="a form",
    )  # fmt: skip


async def _upload(store: Store, count: int) -> str:
    """Every second line is of somebody known, the others of numbers that never wrote."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"phone,name,code\n"
        for first in range(0, count, BATCH):
            lines = [
                f"+{_address(n + n % 2 * count)},Customer {n},C{n}\n"
                for n in range(first, min(first + BATCH, count))
            ]
            yield "".join(lines).encode()

    files = store.of("t0").files
    file = await media.take(files, "t0", "", None, "list.csv", parts(), media.MOST_BYTES, system_clock())
    return file.id


async def _facts(store: Store, trips: RoundTrips) -> int:
    """Commands for the facts of one marketing template, asked as a send asks."""
    channel = await store.directory.channel("ch_wa0")
    permission, before = Permission(store, _adapters(), system_clock), 0
    for _ in range(2):  # the tenant itself is known to a process that sends
        before = trips.total
        await permission.ask("sent", channel, _talk(1, known=True), _message())
    return trips.total - before


def _message() -> Message:
    now = system_clock()
    return Message(
        "m_x", "t0", "ch_wa0", "cv_x", "out", "bot", 1, now, Template("news", "es"), Status.QUEUED,
        purpose="marketing", campaign="cm_x", bulk=True,
    )  # fmt: skip


def _decide() -> float:
    """Microseconds of one decision that has to ask every rule."""
    now, message = system_clock(), _message()
    facts = Facts(
        owner="bot", windowed=True, consents={"marketing": Standing("granted", now, "import", "ce_x")},
        template=TemplateFacts("APPROVED", "MARKETING", True), left=10, quiet=Quiet(time_of_day(21), time_of_day(8)),
        zones=("Europe/Madrid", "Atlantic/Canary"), cap=Cap(2, timedelta(days=1)), marketed=(now - timedelta(days=2),),
    )  # fmt: skip
    noon = replace(message).at.replace(hour=11)
    best = 1e9
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(5000):
            decide(message, facts, noon)
        best = min(best, (time.perf_counter() - start) / 5000)
    return best * 1e6
