"""Templates as the provider lists them are brought here: what was missed is mended, what was written here is never lost."""

import asyncio
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest

from gateway.model.errors import Conflict, SendError
from gateway.model.template import TemplateDef
from gateway.template_sync import Synced
from tests.conftest import WABA, Running, make_tenant, make_whatsapp
from tests.providers.graph import Fault
from tests.templates.rig import category_of, heard, queue, stands, status_of, warnings


async def sync(running: Running, channel: str = "ch_wa") -> Synced:
    return await running.gateway.template_sync.sync(await running.store.directory.channel(channel))


async def ours(running: Running, name: str, tenant: str = "acme") -> TemplateDef:
    found = await running.store.of(tenant).templates.find(WABA, name, "en_US")
    assert found is not None
    return found


async def test_what_the_provider_has_is_here_and_again_changes_nothing(running: Running) -> None:
    buttons = {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Stop"}]}
    row = running.graph.templates.add("order_ready", body="Hello {{1}}, it is ready.", examples=["Ana"])
    row["components"].append(buttons)
    row["quality_score"] = {"score": "YELLOW", "date": 1}
    assert await sync(running) == Synced(seen=2, added=2)
    found = await ours(running, "order_ready")
    assert (found.body, dict(found.examples), found.quality) == (
        "Hello {{1}}, it is ready.",
        {"1": "Ana"},
        "YELLOW",
    )
    assert [b.text for b in found.buttons] == ["Stop"]
    assert await sync(running) == Synced(seen=2)


async def test_what_webhooks_had_not_told_is_mended(running: Running) -> None:
    running.graph.templates.add("order_ready", body="Your order is ready.")
    running.graph.templates.add("gone", body="Bye.")
    await sync(running)
    talk = await heard(running)
    message = await queue(running, talk, "order_ready", due=running.clock() + timedelta(minutes=30))
    running.clock.move(minutes=20)
    row = running.graph.templates.row("order_ready")
    row |= {"category": "MARKETING"}
    running.graph.account.templates = [r for r in running.graph.templates.rows if r["name"] != "gone"]
    told: list[str] = []

    async def listen(before: TemplateDef, after: TemplateDef) -> None:
        told.append(f"{after.name} {after.state} {after.category}")

    running.gateway.templates.on_change(listen)
    assert await sync(running) == Synced(seen=2, changed=1, deleted=1)
    assert sorted(told) == ["gone DELETED UTILITY", "order_ready APPROVED MARKETING"]
    assert sorted(await warnings(running.store)) == [
        "Template gone (en_US) is now deleted.",
        "Template order_ready (en_US) was moved from utility to marketing.",
    ]
    running.clock.move(hours=1)
    await running.swept()
    assert [r for r in running.graph.messages() if r.body["type"] == "template"] == []
    assert (await stands(running, message)).failure is not None
    # A list may be a little old; what was told just before it counts more.
    running.clock.move(hours=1)
    assert await running.post_whatsapp(category_of(row, "MARKETING", "UTILITY", running.clock())) == 200
    await sync(running)
    assert (await ours(running, "order_ready")).category == "UTILITY"
    running.clock.move(hours=1)
    await sync(running)
    assert (await ours(running, "order_ready")).category == "MARKETING"


async def test_a_late_webhook_does_not_undo_a_sync(running: Running) -> None:
    row = running.graph.templates.add("order_ready")
    await sync(running)
    missed = running.clock()
    running.clock.move(hours=3)
    await sync(running)
    assert await running.post_whatsapp(status_of(row, "PAUSED", missed)) == 200
    assert (await ours(running, "order_ready")).state == "APPROVED"


async def test_a_local_draft_is_never_lost(running: Running) -> None:
    templates = running.gateway.templates
    draft = await templates.create("acme", "welcome", "en_US", {"body": "Welcome, and thank you."}, "ch_wa")
    local = await templates.create("acme", "elsewhere", "en_US", {"body": "Hello!"})
    running.graph.templates.add("order_ready", body="It is ready.")
    running.clock.move(hours=1)
    assert (await sync(running)).deleted == 0
    assert (await templates.get("acme", draft.id)).body == "Welcome, and thank you."
    assert (await templates.get("acme", local.id)).usable
    # The same name is made at the provider, with other words.
    running.graph.templates.add("welcome", body="Welcome.", category="MARKETING")
    await sync(running)
    both = await templates.get("acme", draft.id)
    assert (both.state, both.category, both.body) == ("APPROVED", "MARKETING", "Welcome.")
    assert both.draft == {"category": "UTILITY", "body": "Welcome, and thank you."}
    # And a change that was not submitted stays through everything.
    other = await ours(running, "order_ready")
    await templates.edit("acme", other.id, {"body": "It is ready for you."})
    running.graph.templates.row("order_ready")["status"] = "PAUSED"
    running.clock.move(hours=1)
    await sync(running)
    found = await ours(running, "order_ready")
    assert (found.state, found.body, found.draft) == (
        "PAUSED",
        "It is ready.",
        {"body": "It is ready for you."},
    )


@pytest.mark.parametrize(
    "fault", [Fault.http(500), Fault.throttle(5), Fault.http(200), Fault.error(190, 401), Fault("reset")]
)
async def test_a_list_that_breaks_off_deletes_nothing(running: Running, fault: Fault) -> None:
    for number in range(250):
        running.graph.templates.add(f"t_{number}")
    await sync(running)
    running.clock.move(hours=1)
    running.graph.misbehave(
        Fault(**{**_fields(fault), "only": "after=100"}), 2
    )  # twice: a connection that was cut is tried anew
    with pytest.raises(SendError):
        await sync(running)
    page = await running.store.of("acme").templates.page(None, 500)
    assert {t.state for t in page.items} == {"APPROVED"}
    assert (await running.store.directory.channel("ch_wa")).state == "active"


def _fields(fault: Fault) -> dict[str, Any]:
    return {n: getattr(fault, n) for n in Fault.__dataclass_fields__}


@pytest.mark.parametrize("broken", ["no_data", "endless"])
async def test_a_malformed_list_deletes_nothing(running: Running, broken: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("channels.whatsapp.templates.MOST_PAGES", 20)
    await sync(running)
    running.clock.move(hours=1)
    running.graph.templates.broken = broken
    with pytest.raises(SendError):
        await sync(running)
    assert (await ours(running, "hello_world")).state == "APPROVED"


async def test_parts_that_are_not_known_are_kept_and_not_edited(running: Running) -> None:
    row = running.graph.templates.add("carousel", body="Look at these.")
    row["components"].append({"type": "CAROUSEL", "cards": [{"components": []}]})
    await sync(running)
    found = await ours(running, "carousel")
    assert [p["type"] for p in found.raw["components"]] == ["BODY", "CAROUSEL"]
    with pytest.raises(Conflict, match="parts that Parley does not know"):
        await running.gateway.templates.edit("acme", found.id, {"body": "Other"})


async def test_each_account_once_an_hour_by_one_process(running: Running) -> None:
    look, graph = running.gateway.template_sync.look, running.graph
    await look()
    assert graph.templates.pages == 1
    await look()
    assert graph.templates.pages == 1
    # Another process, which knows nothing of it.
    from gateway.template_sync import TemplateSync

    gateway = running.gateway
    other = TemplateSync(running.store, gateway.channels.templates, gateway.templates, running.clock)
    await asyncio.gather(other.look(), look())
    assert graph.templates.pages == 1
    # A fresh channel, of another tenant: at once, and only that one.
    await make_tenant(running.store, "beta")
    await make_whatsapp(running.store, "beta", "ch_beta", "106540352242999")
    await other.look()
    assert graph.templates.pages == 2
    running.clock.move(hours=2)
    await asyncio.gather(other.look(), look())
    assert graph.templates.pages == 4


async def test_a_look_that_failed_is_repeated_soon(running: Running) -> None:
    running.graph.misbehave(Fault.http(500, only="/message_templates"))
    await running.gateway.template_sync.look()
    assert await running.store.of("acme").templates.find(WABA, "hello_world", "en_US") is None
    running.clock.move(minutes=11)
    await running.gateway.template_sync.look()
    assert (await ours(running, "hello_world")).state == "APPROVED"


async def test_a_change_of_what_is_not_known_here_asks_for_a_look(running: Running) -> None:
    row = running.graph.templates.add("order_ready")
    assert await running.post_whatsapp(status_of(row, "APPROVED", running.clock())) == 200

    async def there() -> bool:
        return await running.store.of("acme").templates.find(WABA, "order_ready", "en_US") is not None

    async with asyncio.timeout(10):  # the process's own loop was woken
        while not await there():
            await asyncio.sleep(0.01)


async def test_limits_and_quality_come_along(running: Running) -> None:
    accounts, number = running.store.of("acme").accounts, running.graph.account.number
    number["whatsapp_business_manager_messaging_limit"], number["quality_rating"] = "TIER_10K", "YELLOW"
    await sync(running)
    assert ((await accounts.get("ch_wa")).limit, (await accounts.get("ch_wa")).quality) == (10_000, "YELLOW")
    number["whatsapp_business_manager_messaging_limit"], number["quality_rating"] = "TIER_UNLIMITED", "GREEN"
    await sync(running)
    assert ((await accounts.get("ch_wa")).limit, (await accounts.get("ch_wa")).quality) == (None, "GREEN")


async def test_ten_thousand_templates_take_bounded_memory(running: Running) -> None:
    for number in range(10_000):
        running.graph.templates.add(f"template_{number:05}", body=f"Number {number} is ready. " + "x" * 600)
    channel = await running.store.directory.channel("ch_wa")
    tracemalloc.start()
    done = await running.gateway.template_sync.sync(channel)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert done == Synced(seen=10_001, added=10_001)
    assert running.graph.templates.pages == 101
    # The stand-in in this process holds its rows, too; what is measured is what the sync adds at its worst.
    assert peak < 40 * 2**20, peak
    found, after = 0, None
    while True:
        page = await running.store.of("acme").templates.page(after, 1000)
        found += len(page.items)
        if (after := page.next) is None:
            break
    assert found == 10_001
