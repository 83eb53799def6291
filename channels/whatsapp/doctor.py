"""The doctor: asks Meta, and our own address, about everything that can be wrong with a WhatsApp channel."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp

from channels.read import mapping, word
from channels.whatsapp import checks
from channels.whatsapp.checks import Answer
from channels.whatsapp.graph import Graph, token_of
from gateway.model.errors import SendError
from gateway.model.ports import Finding
from gateway.model.tenant import Channel

_NUMBER_FIELDS: Final = (
    "display_phone_number,verified_name,status,quality_rating,name_status,code_verification_status,platform_type,"
    "account_mode,whatsapp_business_manager_messaging_limit,health_status,webhook_configuration"
)
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10, sock_connect=3)
_SHORT: Final = aiohttp.ClientTimeout(total=5, sock_connect=3)


async def check(graph: Graph, channel: Channel, webhook: str) -> Sequence[Finding]:
    """Every line, in the order in which to mend them. Never raises."""
    here = [
        checks.version(channel, graph.clock()),
        checks.public(webhook),
        await _handshake(graph, channel, webhook),
    ]
    try:
        token = token_of(channel)
    except SendError as error:
        return [Finding("access token", False, error.text, checks.NEW_TOKEN), *here]
    told = await _ask(graph, channel, "debug_token", query={"input_token": token})
    if isinstance(told, SendError) and told.disable_channel:
        return [Finding("access token", False, told.text, checks.NEW_TOKEN), *here]
    waba = str(channel.config.get("waba_id") or "")
    proof = {"fields": "id", "appsecret_proof": _proof(channel)}
    states = {"fields": "name,language,status", "limit": "250"}
    debug = mapping(told.get("data")) if isinstance(told, Mapping) else {}
    app = word(debug.get("app_id"))
    proven, number, numbers, account, subscribed, templates, fields = await asyncio.gather(
        _ask(graph, channel, channel.account, query=proof),
        _ask(graph, channel, channel.account, query={"fields": _NUMBER_FIELDS}),
        _ask(graph, channel, waba, "phone_numbers", query={"fields": "id", "limit": "200"}),
        _ask(graph, channel, waba, query={"fields": "name,account_review_status"}),
        _ask(graph, channel, waba, "subscribed_apps"),
        _ask(graph, channel, waba, "message_templates", query=states),
        _ask(graph, channel, app or "0", "subscriptions", token=f"{app}|{_secret(channel)}"),
    )
    return [
        *checks.token(told, debug, waba, graph.clock()),
        checks.app_secret(proven, number),
        checks.belongs(numbers, channel.account, waba),
        *checks.number(number, proven),
        checks.account(account),
        checks.subscription(subscribed, app),
        checks.callback(number, subscribed, fields, app, webhook),
        checks.fields(fields),
        checks.templates(templates),
        *here,
    ]


async def throughput(graph: Graph, channel: Channel, number: str) -> str | None:
    """How fast Meta lets a number send: `STANDARD` or `HIGH`; None where it does not say in time. Never raises.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/throughput"""
    try:
        reply = await graph.exchange(channel, "GET", number, query={"fields": "throughput"}, timeout=_SHORT)
    except SendError:
        return None
    return word(mapping(reply.body.get("throughput")).get("level")) or None


async def _ask(graph: Graph, channel: Channel, *path: str, **more: Any) -> Answer:
    try:
        return await graph.call(channel, "GET", *path, **more)
    except SendError as error:
        return error


def _secret(channel: Channel) -> str:
    return channel.secrets.get("app_secret", "").strip()


def _proof(channel: Channel) -> str:
    """https://developers.facebook.com/docs/graph-api/securing-requests"""
    return hmac.new(_secret(channel).encode(), token_of(channel).encode(), hashlib.sha256).hexdigest()


async def _handshake(graph: Graph, channel: Channel, webhook: str) -> Finding:
    """Ask our own address what Meta asks when the address is entered in its dashboard."""
    name, challenge = "verify token", secrets.token_hex(8)
    token = channel.secrets.get("verify_token", "")
    query = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": challenge}
    try:
        async with graph.session.get(
            f"{webhook}?{urlencode(query)}", timeout=_TIMEOUT, allow_redirects=False
        ) as response:
            answer = (await response.content.read(256)).decode(errors="replace")
            status = response.status
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return Finding(
            name, None, "This server's address can't be reached from here.", "Try it from outside."
        )
    if status == 200 and answer == challenge:
        return Finding(name, True, "Our address answers Meta's question.")
    fix = "Does another server answer there? Point the address at this one, and enter the channel's verify token."
    return Finding(name, False, f"Our address answers Meta's question wrongly (status {status}).", fix)
