"""Random histories of messages, consents, template changes, owners, faults and moves of the clock through a running gateway:
whatever reaches the provider was allowed by the rules as they are written here, apart from the product's own."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.handoff import set_owner
from gateway.model.consent import Entry
from gateway.model.content import Template
from gateway.model.conversation import Conversation, Owner
from gateway.model.message import Message, Status
from gateway.model.permission import Cap, Permissions, Quiet
from gateway.model.template import Category
from tests.conftest import Running, make_template
from tests.permission.rig import hear, say
from tests.permission.test_holding import AD, set_permissions
from tests.providers.graph import Fault

STEPS = 50
MENDS = 0.15
MADRID = ZoneInfo("Europe/Madrid")
DAY = timedelta(hours=24)
OFTEN, SELDOM = 6, 2


@dataclass
class Known:
    """What is so, as whoever plays the history knows it."""

    owner: Owner = "bot"
    active: bool = True
    heard: datetime | None = None
    free_until: datetime | None = None
    stopped: datetime | None = None
    consents: dict[str, bool] = field(default_factory=dict)
    before_stop: dict[str, bool] = field(default_factory=dict)
    templates: dict[str, tuple[str, str]] = field(default_factory=dict)
    permissions: Permissions = field(default_factory=lambda: Permissions(quiet=None, cap=None))
    marketed: list[datetime] = field(default_factory=list)
    begun: list[datetime] = field(default_factory=list)
    confirmations: int = 0
    """Stops whose confirmation may still be sent."""


class History:
    def __init__(self, running: Running, seed: int) -> None:
        self.running = running
        self.chance = random.Random(seed)
        self.known = Known()
        self.number = 0
        self.seen = 0
        self.sent = 0
        self.log: list[str] = []
        self.conversation: Conversation | None = None

    @property
    def now(self) -> datetime:
        return self.running.clock()

    async def play(self) -> None:
        await self.heard("echo hello")
        await self.check()
        moves: tuple[tuple[int, Any], ...] = (
            (OFTEN, self.customer),
            (SELDOM, self.customer_stops),
            (SELDOM, self.customer_starts),
            (OFTEN, self.person),
            (OFTEN, self.person_template),
            (OFTEN, self.marketing),
            (SELDOM, self.template_changes),
            (SELDOM, self.consent_changes),
            (SELDOM, self.owner_changes),
            (SELDOM, self.channel_changes),
            (SELDOM, self.tenant_changes),
            (SELDOM, self.fault),
            (OFTEN, self.time_passes),
        )
        for _ in range(STEPS):
            if self.chance.random() < MENDS:
                await self.mended()
            [(_, move)] = self.chance.choices(moves, [w for w, _ in moves])
            self.log.append(f"{self.now:%d %H:%M:%S} {move.__name__}")
            await move()
            await self.running.swept()
            await self.check()
        await self.settles()

    # What happens ---------------------------------------------------------------------------------------

    async def heard(self, text: str, **more: Any) -> None:
        self.number += 1
        at = self.now.replace(microsecond=0)
        hours = 72 if "referral" in more else 24
        self.known.heard = at
        until = at + timedelta(hours=hours)
        self.known.free_until = max(until, self.known.free_until or until)
        self.log.append(f"    {text!r}")
        self.conversation = await hear(self.running, text, self.number, **more)

    async def customer(self) -> None:
        more = {"referral": AD} if self.chance.random() < 0.2 else {}
        await self.heard(f"echo {self.number}", **more)

    async def customer_stops(self) -> None:
        known = self.known
        if known.stopped is None:
            known.confirmations += 1
            known.before_stop = dict(known.consents)
            known.stopped = self.now.replace(microsecond=0)
            known.consents = {}
        await self.heard(self.chance.choice(["STOP", "stop.", " Unsubscribe ", "BAJA"]))

    async def customer_starts(self) -> None:
        known = self.known
        if known.stopped is not None:
            known.stopped = None
            known.consents = {p: g for p, g in known.before_stop.items() if g}
        await self.heard(self.chance.choice(["START", "/start", "Start!"][:1]))

    async def person(self) -> None:
        assert self.conversation is not None
        self.number += 1
        said = await say(self.running, self.conversation, f"person {self.number}", str(self.number))
        self.log.append(f"    {said.status.label}")

    async def person_template(self) -> None:
        await self.template("service")

    async def marketing(self) -> None:
        await self.template("marketing", author="bot" if self.chance.random() < 0.5 else "agent")

    async def template(self, purpose: str, **more: Any) -> None:
        assert self.conversation is not None
        name = self.chance.choice(["offer", "order", "nowhere"])
        self.number += 1
        await say(
            self.running,
            self.conversation,
            Template(name, "en"),
            str(self.number),
            purpose=purpose,
            **more,
        )

    async def template_changes(self) -> None:
        name = self.chance.choice(["offer", "order"])
        category: Category = self.chance.choice(["MARKETING", "UTILITY", "UTILITY"])
        state = self.chance.choice(["APPROVED", "APPROVED", "APPROVED", "PAUSED", "DISABLED", "REJECTED"])
        self.known.templates[name] = (state, category)
        await make_template(self.running.store, name, "en", category, state)

    async def consent_changes(self) -> None:
        assert self.conversation is not None
        granted = self.chance.random() < 0.7
        if self.known.stopped is None:
            self.known.consents["marketing"] = granted
        else:
            granted = False  # nobody can agree for them once they have stopped
        self.number += 1
        now = self.now
        entry = Entry(
            f"ce_{self.number}",
            "acme",
            "ch_wa",
            self.conversation.contact,
            "marketing",
            "granted" if granted else "withdrawn",
            "api",
            now,
            now,
        )
        await self.running.store.of("acme").ledger.record([entry])

    async def owner_changes(self) -> None:
        assert self.conversation is not None
        self.known.owner = self.chance.choice(["bot", "bot", "agent", "queue"])
        await set_owner(self.running.store.of("acme"), self.conversation.id, self.known.owner)

    async def channel_changes(self) -> None:
        store = self.running.store
        channel = await store.directory.channel("ch_wa")
        if self.known.active:
            await store.directory.disable(channel)
        else:
            await store.directory.set_channel(channel, state="active")
        await store.directory.refresh()
        store.directory._known.clear()
        self.known.active = not self.known.active

    async def tenant_changes(self) -> None:
        quiet = self.chance.choice([None, Quiet(time(21), time(8)), Quiet(time(10), time(16))])
        cap = self.chance.choice([None, Cap(1, DAY), Cap(2, timedelta(hours=6))])
        self.known.permissions = Permissions(quiet=quiet, cap=cap, daily=self.chance.choice([None, 0, 3]))
        await set_permissions(self.running, self.known.permissions)

    async def fault(self) -> None:
        fault = self.chance.choice([Fault.http(500), Fault.throttle(retry_after=60), Fault.error(131026)])
        self.running.graph.misbehave(fault)

    async def time_passes(self) -> None:
        span = self.chance.choice(
            [
                timedelta(seconds=5),
                timedelta(minutes=7),
                timedelta(hours=3),
                timedelta(hours=11),
                DAY,
                3 * DAY,
            ]
        )
        self.running.clock.move(seconds=span.total_seconds())

    # What may be ----------------------------------------------------------------------------------------

    async def check(self) -> None:
        taken = [m for m in self.running.graph.messages() if m.accepted]
        for sent in taken[self.seen :]:
            found = await self.running.store.of("acme").messages.get(sent.message or "")
            assert found is not None
            wrong = self.forbidden(found)
            assert wrong is None, (
                f"{wrong}: {found.content} by {found.author} for {found.purpose}\n"
                + "\n".join(self.log[-16:])
            )
            self.sent += 1
        self.seen = len(taken)

    def forbidden(self, message: Message) -> str | None:
        """Which rule forbids that this message has just been taken; None if none does."""
        known = self.known
        is_template = isinstance(message.content, Template)
        purpose = message.purpose
        if not known.active:
            return "the channel is disabled"
        if message.extra.get("announces") == "stopped":
            known.confirmations -= 1
            return None if known.confirmations >= 0 else "a stop is confirmed once"
        if message.author == "bot" and known.owner != "bot" and message.extra.get("announces") != "queue":
            return "a person owns the conversation"
        if known.stopped is not None:
            asked_since = known.heard is not None and known.heard > known.stopped
            if message.author != "agent" or purpose != "service" or not asked_since:
                return "they stopped"
        if isinstance(message.content, Template):
            state, category = known.templates.get(message.content.name, ("", ""))
            if state != "APPROVED":
                return "the template is not approved"
            if category == "MARKETING":
                purpose = "marketing"
        if purpose != "service" and not known.consents.get(purpose):
            return f"no consent to {purpose}"
        is_open = known.free_until is not None and self.now < known.free_until
        if not is_template and not is_open:
            return "the window is closed"
        if message.purpose != "service" or not is_open:
            day = self.now.astimezone(UTC).date()
            begun = [at for at in known.begun if at.astimezone(UTC).date() == day]
            known.begun.append(self.now)
            if known.permissions.daily is not None and len(begun) >= known.permissions.daily:
                return "the quota is used up"
        return self.forbidden_marketing() if purpose == "marketing" else None

    def forbidden_marketing(self) -> str | None:
        known, permissions = self.known, self.known.permissions
        if permissions.quiet is not None:
            hour = self.now.astimezone(MADRID).hour
            start, end = permissions.quiet.start.hour, permissions.quiet.end.hour
            if (start <= hour < end) if start < end else (hour >= start or hour < end):
                return "it is quiet there"
        if permissions.cap is not None:
            recent = [at for at in known.marketed if at > self.now - permissions.cap.within]
            if len(recent) >= permissions.cap.most:
                return "too often"
        known.marketed.append(self.now)
        return None

    async def mended(self) -> None:
        """What keeps everything from being sent does not last: a history in which nothing may be sent shows nothing."""
        if not self.known.active:
            await self.channel_changes()
        if self.known.stopped is not None:
            await self.customer_starts()
        if self.known.owner != "bot" and self.conversation is not None:
            self.known.owner = "bot"
            await set_owner(self.running.store.of("acme"), self.conversation.id, "bot")
        await self.running.swept()
        await self.check()

    async def settles(self) -> None:
        """Nothing is lost: whatever was written is out, or says why it is not, or waits for a time that is to come."""
        assert self.conversation is not None
        for message in await self.running.transcript(self.conversation.id):
            if message.direction != "out" or message.status in (Status.SENT, Status.DELIVERED, Status.READ):
                continue
            if message.status in (Status.QUEUED, Status.HELD, Status.UNKNOWN):
                assert message.due is not None
                assert message.due > self.now, message
            if message.status is not Status.QUEUED:  # what waits behind another has been asked nothing yet
                assert message.failure is not None, message


@pytest.mark.parametrize("seed", range(8))
async def test_nothing_is_sent_that_the_rules_forbid(timed: Running, seed: int) -> None:
    history = History(timed, seed)
    for name in ("offer", "order"):
        history.known.templates[name] = ("APPROVED", "UTILITY")
        await make_template(timed.store, name, "en", "UTILITY")
    await set_permissions(timed, history.known.permissions)
    await history.play()
    assert history.sent > 0, "a history in which nothing is sent shows nothing"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 150))
async def test_nothing_is_sent_that_the_rules_forbid_long(timed: Running, seed: int) -> None:
    await test_nothing_is_sent_that_the_rules_forbid(timed, seed)
