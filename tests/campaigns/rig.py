"""What the tests of campaigns share: a template, customers, and the API."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

from gateway.model.consent import Entry, entry_id
from gateway.model.content import Text
from gateway.model.message import Status, contact_id
from gateway.model.permission import Cap, Permissions, Quiet
from gateway.model.template import Category, TemplateDef, template_id
from tests.conftest import WABA, Running
from tests.core.test_kinds import hear, said
from tests.providers.graph import Recorded

NOON = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)
"""A Wednesday in summer: nobody's quiet hours between Madrid and London."""

HELLO = "Hello {{1}}, we have news. Reply STOP to end."


def phone(number: int) -> str:
    """A mobile number of Spain, as WhatsApp writes it."""
    return str(34_600_000_000 + number)


class Rig:
    def __init__(self, running: Running) -> None:
        self.running = running
        self.store = running.store
        self.clock = running.clock
        self.key = ""

    async def open(self) -> None:
        self.at(NOON)
        _, self.key = await self.store.access.create_key("acme", "test", self.clock())
        await self.permissions()
        await self.template()

    def at(self, moment: datetime) -> None:
        self.clock.ahead += moment - self.clock()

    async def permissions(self, **more: Any) -> None:
        """The tenant's: no quiet hours and no cap but for what is given."""
        tenant = await self.store.directory.tenant("acme")
        given = {"timezone": "Europe/Madrid", "quiet": None, "cap": None} | more
        await self.store.directory.set_permissions(tenant.id, Permissions(**given))

    async def template(
        self,
        name: str = "news",
        language: str = "es",
        body: str = HELLO,
        category: Category = "MARKETING",
        state: str = "APPROVED",
        account: str = WABA,
        **more: Any,
    ) -> TemplateDef:
        made = TemplateDef(
            template_id("acme", account, name, language), "acme", account, name, language, category, body,
            self.clock(), state=state, examples={"1": "Ana"} if "{{1}}" in body else {}, **more,
        )  # fmt: skip
        await self.store.of("acme").templates.put(made)
        return made

    async def changed(self, before: TemplateDef, **change: Any) -> None:
        """As the provider's webhook would have it changed."""
        found = await self.store.of("acme").templates.get(before.id)
        assert found is not None
        after = replace(found, **change)
        await self.store.of("acme").templates.put(after)
        await self.running.gateway.templates.tell(found, after)

    async def customers(self, count: int, *, consent: bool = True, first: int = 0) -> list[str]:
        """People who have written once; their conversations."""
        for number in range(first, first + count):
            own = phone(number)
            await hear(
                self.running,
                said(self.running, Text("echo hello"), f"hello.{own}", address=own, name=f"Customer {number}",
                     identity=replace(said(self.running, Text("")).identity, id=own)),
            )  # fmt: skip
        if consent:
            await self.consent(range(first, first + count))
        found = {c.address: c.id for c in await self.running.conversations()}
        self.running.graph.requests.clear()
        return [found[phone(n)] for n in range(first, first + count)]

    async def consent(self, numbers: Iterable[int], purpose: str = "marketing") -> None:
        now = self.clock()
        await self.store.of("acme").ledger.record(
            [
                Entry(
                    id=entry_id("acme", phone(n), purpose, "granted"),
                    tenant="acme", channel="ch_wa", contact=contact_id("acme", "whatsapp", "", phone(n)),
                    purpose=purpose, state="granted", how="import", at=now, recorded=now, evidence="a form",
                )
                for n in numbers
            ]
        )  # fmt: skip

    # The API

    async def call(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        async with self.running.http.request(
            method,
            f"{self.running.url}/api/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.key}"},
        ) as answer:
            got = await answer.json() if answer.status != 204 else None
            assert answer.status == status, (answer.status, got)
            return got

    async def upload(self, data: bytes | str, name: str = "list.csv") -> str:
        given = data.encode() if isinstance(data, str) else data
        async with self.running.http.post(
            f"{self.running.url}/api/v1/files?name={name}", data=given,
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/octet-stream"},
        ) as answer:  # fmt: skip
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["id"])

    async def made(self, audience: Mapping[str, Any], **more: Any) -> str:
        """A campaign, prepared."""
        given = {"channel": "ch_wa", "name": "News", "template": "news", "audience": audience}
        given |= {"variables": {"1": "contact.name|friend"}} | more
        made = await self.call("POST", "/campaigns", given)
        identifier = str(made["campaign"]["id"])
        await self.prepared(identifier)
        return identifier

    async def prepared(self, campaign: str) -> Any:
        await self.call("POST", f"/campaigns/{campaign}/prepare")
        await self.look()
        return await self.show(campaign)

    async def csv(self, numbers: Iterable[int], **more: Any) -> str:
        lines = ["phone,name", *(f"+{phone(n)},Customer {n}" for n in numbers)]
        return await self.made({"csv": await self.upload("\n".join(lines))}, **more)

    async def show(self, campaign: str) -> Any:
        return await self.call("GET", f"/campaigns/{campaign}")

    async def do(self, campaign: str, what: str, status: int = 200) -> Any:
        return await self.call("POST", f"/campaigns/{campaign}/{what}", status=status)

    async def recipients(self, campaign: str) -> list[dict[str, Any]]:
        found, after = list[dict[str, Any]](), 0
        while True:
            page = await self.call("GET", f"/campaigns/{campaign}/recipients?after={after}&limit=200")
            found += page["items"]
            if page["next"] is None:
                return found
            after = page["next"]

    async def look(self) -> None:
        """One look of this process at its campaigns, to its end."""
        await self.running.gateway.campaigns.look()
        await self.running.gateway.campaigns.finished()

    async def go(self, looks: int = 6, seconds: float = 1) -> None:
        """So many seconds' work: campaigns, the queue, the sending."""
        for _ in range(looks):
            await self.look()
            await self.running.swept()
            self.clock.move(seconds=seconds)
        await self.look()

    @property
    def sent(self) -> list[Recorded]:
        return [m for m in self.running.graph.messages() if m.body.get("type") == "template"]

    def reached(self) -> list[str]:
        return [str(m.body["to"]) for m in self.sent]


async def statuses(rig: Rig, conversations: Sequence[str]) -> list[Status]:
    """Of the campaign messages in these conversations."""
    return [m.status for c in conversations for m in await rig.running.transcript(c) if m.campaign]


NIGHT = Quiet(time(21), time(8))
ONE_A_DAY = Cap
