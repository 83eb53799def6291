"""What the provider tells of a template stops what uses it at once, whatever order it comes in and whoever shares the account."""

from datetime import timedelta

import pytest

from gateway.model.message import Status
from gateway.model.template import TemplateDef
from tests.conftest import APP_SECRET, WABA, Running, make_tenant, make_whatsapp
from tests.templates.rig import (
    about_template,
    category_of,
    consent,
    heard,
    named,
    queue,
    stands,
    status_of,
    warnings,
)


async def synced(running: Running) -> dict[str, str]:
    row = running.graph.templates.add("order_ready", body="Your order is ready.")
    await running.gateway.template_sync.sync(await running.store.directory.channel("ch_wa"))
    return row


async def ours(running: Running, tenant: str = "acme", name: str = "order_ready") -> TemplateDef:
    found = await running.store.of(tenant).templates.find(WABA, name, "en_US")
    assert found is not None
    return found


def sent(running: Running) -> list[str]:
    return [r.body["template"]["name"] for r in running.graph.messages() if r.body["type"] == "template"]


async def test_a_template_that_becomes_marketing_is_not_sent_to_who_never_agreed(running: Running) -> None:
    row = await synced(running)
    talk = await heard(running)
    later = running.clock() + timedelta(hours=1)
    message = await queue(running, talk, "order_ready", due=later)
    assert await running.post_whatsapp(category_of(row, "UTILITY", "MARKETING", running.clock())) == 200
    running.clock.move(hours=2)
    await running.swept()
    assert sent(running) == []
    refused = await stands(running, message)
    assert refused.status is Status.FAILED
    assert refused.failure is not None and refused.failure.code == "permission:category"
    assert "counts this template as marketing" in refused.failure.text
    assert await warnings(running.store) == [
        "Template order_ready (en-US) was moved from utility to marketing."
    ]


async def test_the_same_goes_to_who_agreed(running: Running) -> None:
    row = await synced(running)
    talk = await heard(running)
    await consent(running.store, talk, "granted", running.clock())
    await running.post_whatsapp(category_of(row, "UTILITY", "MARKETING", running.clock()))
    permissions = (await running.store.directory.tenant("acme")).permissions
    assert permissions.quiet is not None
    hour = running.clock().hour
    running.clock.move(hours=(36 - hour) % 24)  # noon: nobody's quiet hours
    message = await queue(running, talk, "order_ready")
    await running.swept()
    assert sent(running) == ["order_ready"]
    assert (await stands(running, message)).status is Status.SENT


async def test_paused_held_approved_sent(running: Running) -> None:
    row = await synced(running)
    talk = await heard(running)
    paused = status_of(
        row,
        "PAUSED",
        running.clock(),
        other_info={"title": "FIRST_PAUSE", "description": "Paused for 3 hours."},
    )
    assert await running.post_whatsapp(paused) == 200
    assert (await ours(running)).state == "PAUSED" and (await ours(running)).reason == "Paused for 3 hours."
    message = await queue(running, talk, "order_ready")
    await running.swept()
    held = await stands(running, message)
    assert held.status is Status.HELD and sent(running) == []
    assert held.failure is not None and held.failure.code == "permission:template_paused"
    running.clock.move(hours=3)
    await running.swept()
    assert (await stands(running, message)).status is Status.HELD
    assert await running.post_whatsapp(status_of(row, "APPROVED", running.clock())) == 200
    running.clock.move(hours=2)
    await running.swept()
    assert sent(running) == ["order_ready"]
    assert (await stands(running, message)).status is Status.SENT


async def test_a_late_or_repeated_change_never_goes_back(running: Running) -> None:
    row = await synced(running)
    running.clock.move(hours=1)
    now = running.clock()
    paused = status_of(row, "PAUSED", now - timedelta(minutes=20))
    approved = status_of(row, "APPROVED", now - timedelta(minutes=10))
    assert await running.post_whatsapp(approved) == 200
    assert await running.post_whatsapp(paused) == 200
    assert await running.post_whatsapp(paused) == 200
    assert (await ours(running)).state == "APPROVED"
    disabled = status_of(row, "DISABLED", now - timedelta(minutes=5))
    assert await running.post_whatsapp(disabled) == 200
    assert await running.post_whatsapp(approved) == 200
    assert (await ours(running)).state == "DISABLED"


async def test_what_is_told_of_a_category_to_come_changes_nothing_yet(running: Running) -> None:
    row = await synced(running)
    value = {
        **named(row),
        "correct_category": "MARKETING",
        "new_category": "UTILITY",
        "category_update_timestamp": int((running.clock() + timedelta(days=1)).timestamp()),
    }
    body = about_template("template_category_update", value, running.clock())
    assert await running.post_whatsapp(body) == 200
    found = await ours(running)
    assert (found.category, found.coming) == ("UTILITY", "MARKETING")
    moved = category_of(row, "UTILITY", "MARKETING", running.clock() + timedelta(seconds=1))
    assert await running.post_whatsapp(moved) == 200
    found = await ours(running)
    assert (found.category, found.coming) == ("MARKETING", "")


async def test_quality_and_the_found_category(running: Running) -> None:
    row = await synced(running)
    quality = {**named(row), "previous_quality_score": "GREEN", "new_quality_score": "RED"}
    await running.post_whatsapp(about_template("message_template_quality_update", quality, running.clock()))
    assert (await ours(running)).quality == "RED"
    detected = {**named(row), "category": "UTILITY", "correct_category": "MARKETING"}
    await running.post_whatsapp(
        about_template("template_correct_category_detection", detected, running.clock())
    )
    assert (await ours(running)).coming == "MARKETING"


async def test_by_name_and_language_where_the_id_is_another(running: Running) -> None:
    row = await synced(running)
    other = {**row, "id": "999"}
    assert await running.post_whatsapp(status_of(other, "PAUSED", running.clock())) == 200
    assert (await ours(running)).state == "PAUSED"


@pytest.mark.parametrize("waba", ["1", ""])
async def test_another_account_s_change_is_nobody_s(running: Running, waba: str) -> None:
    row = await synced(running)
    value = {"event": "PAUSED", **named(row), "reason": "NONE"}
    body = about_template("message_template_status_update", value, running.clock(), waba)
    assert await running.post_whatsapp(body) == 200
    assert (await ours(running)).state == "APPROVED"


async def test_two_tenants_with_one_business_account_both_learn_it(running: Running) -> None:
    await make_tenant(running.store, "beta")
    await make_whatsapp(running.store, "beta", "ch_beta", "106540352242999")
    row = await synced(running)
    await running.gateway.template_sync.sync(await running.store.directory.channel("ch_beta"))
    told: list[tuple[str, str, str]] = []

    async def listen(before: TemplateDef, after: TemplateDef) -> None:
        told.append((after.tenant, before.state, after.state))

    running.gateway.templates.on_change(listen)
    assert await running.post_whatsapp(status_of(row, "PAUSED", running.clock())) == 200
    assert (await ours(running)).state == (await ours(running, "beta")).state == "PAUSED"
    assert sorted(told) == [("acme", "APPROVED", "PAUSED"), ("beta", "APPROVED", "PAUSED")]
    assert len(await warnings(running.store)) == len(await warnings(running.store, "ch_beta", "beta")) == 1
    # Told again at the other's own address: nothing more.
    assert await running.post_whatsapp(status_of(row, "PAUSED", running.clock()), "ch_beta") == 200
    assert len(told) == 2


async def test_who_shares_the_account_by_another_app_is_not_told_by_this_one(running: Running) -> None:
    """A tenant knows its own app's secret: with it, it could say anything of an account that it only claims to have."""
    await make_tenant(running.store, "beta")
    await make_whatsapp(running.store, "beta", "ch_beta", "106540352242999", app_secret="another")
    row = await synced(running)
    channel = await running.store.directory.channel("ch_beta")
    await running.gateway.template_sync.sync(channel)
    body = status_of(row, "PAUSED", running.clock())
    assert await running.post_whatsapp(body, "ch_beta", "another") == 200
    assert (await ours(running, "beta")).state == "PAUSED"
    assert (await ours(running)).state == "APPROVED"
    assert await running.post_whatsapp(body, "ch_wa", APP_SECRET) == 200
    assert (await ours(running)).state == "PAUSED"
