"""What a review of templates found: each was wrong once."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.model.errors import Invalid
from gateway.model.template import TemplateDef
from gateway.model.tenant import Channel
from gateway.reopen import Reopen
from tests.conftest import WABA, Running
from tests.templates.rig import about_template, heard, status_of


async def ours(running: Running, name: str = "order_ready") -> TemplateDef:
    found = await running.store.of("acme").templates.find(WABA, name, "en_US")
    assert found is not None
    return found


async def synced(running: Running) -> dict[str, Any]:
    row: dict[str, Any] = running.graph.templates.add("order_ready", body="Your order is ready.")
    await running.gateway.template_sync.sync(await running.store.directory.channel("ch_wa"))
    return row


async def test_two_syncs_at_once_delete_nothing(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that began earlier comes to a page after the other: the other took it for gone."""
    await synced(running)
    running.clock.move(hours=1)
    sync = running.gateway.template_sync
    channel = await running.store.directory.channel("ch_wa")
    adapter = sync._adapters["whatsapp"]
    real = type(adapter).rows
    begun: list[str] = []

    async def rows(self: Any, channel: Channel) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        if begun:  # the second: its list is taken, and then the first's
            begun.append("second")
            async for page in real(self, channel):
                yield page
            templates, found = running.store.of("acme").templates, await ours(running)
            await templates.seen([found.id], earlier)
        else:
            async for page in real(self, channel):
                yield page

    earlier = running.clock()
    running.clock.move(seconds=2)
    begun.append("first")
    with monkeypatch.context() as patch:
        patch.setattr(type(adapter), "rows", rows)
        assert (await sync.sync(channel)).deleted == 0
    assert begun == ["first", "second"]
    assert (await ours(running)).state == "APPROVED"


async def test_a_state_that_nobody_has_heard_of_is_asked_for(running: Running) -> None:
    """`UNARCHIVED`, or one that is new: what it is now stands in the provider's list."""
    row = await synced(running)
    await running.gateway.template_sync.look()
    running.clock.move(minutes=10)
    running.graph.templates.row("order_ready")["status"] = "ARCHIVED"
    assert await running.post_whatsapp(status_of(row, "UNHEARD_OF", running.clock())) == 200
    async with asyncio.timeout(10):
        while (await ours(running)).state != "ARCHIVED":
            await asyncio.sleep(0.002)


async def test_what_is_told_of_another_template_of_the_same_name_does_not_touch_it(running: Running) -> None:
    """One that was deleted and made anew: late news of the first."""
    row = await synced(running)
    late = {**row, "id": "1234567890"}
    assert await running.post_whatsapp(status_of(late, "DELETED", running.clock())) == 200
    assert (await ours(running)).state == "APPROVED"


async def test_a_name_with_capitals_is_found(running: Running) -> None:
    store = running.store.of("acme")
    made = await running.gateway.templates.create("acme", "Summer Sale", "en_US", {"body": "Hello."}, "ch_wa")
    await store.templates.put(replace(made, state="APPROVED"))
    talk = await heard(running)
    reopen = Reopen(running.store, running.gateway.channels.adapters, running.clock)
    offers = await reopen.offers("acme", talk.id, find="Summer")
    assert [o.template.name for o in offers] == ["Summer Sale"]


@pytest.mark.parametrize("draft", [{"expires": 10**30}, {"body": "\ud800"}, {"examples": {"\ud800": "x"}}])
async def test_what_no_store_takes_is_refused_by_name(running: Running, draft: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as told:
        await running.gateway.templates.create("acme", "odd", "en_US", {"body": "Hi.", **draft})
    assert told.value.field.split(".")[0] == next(iter(draft))


async def test_a_sample_file_is_kept_and_is_the_tenants_own(running: Running) -> None:
    templates = running.gateway.templates
    header = {"kind": "image", "example": "f_" + "a" * 24}
    with pytest.raises(Invalid) as told:
        await templates.create("acme", "poster", "en_US", {"body": "Hi.", "header": header}, "ch_wa")
    assert told.value.field == "header.example"


async def test_a_late_event_with_a_time_far_ahead_does_not_end_syncing(running: Running) -> None:
    row = await synced(running)
    ahead = running.clock() + timedelta(hours=20)
    value = {
        "message_template_id": int(row["id"]), "message_template_name": "order_ready",
        "message_template_language": "en_US", "new_quality_score": "GREEN",
    }  # fmt: skip
    assert await running.post_whatsapp(about_template("message_template_quality_update", value, ahead)) == 200
    running.clock.move(hours=1)
    running.graph.templates.row("order_ready")["status"] = "PAUSED"
    await running.gateway.template_sync.sync(await running.store.directory.channel("ch_wa"))
    assert (await ours(running)).state == "PAUSED"
