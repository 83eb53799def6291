"""Connecting a bot, and the doctor that says what is wrong with one.

https://core.telegram.org/bots/api#setwebhook and https://core.telegram.org/bots/webhooks
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from channels.read import items, mapping, short_id, word
from channels.telegram.api import TOKEN, Api, Call, sequence
from channels.telegram.parse import ALLOWED
from gateway.model.errors import Invalid, SendError
from gateway.model.ports import Clock, Connected, Finding
from gateway.model.tenant import Channel

PORTS: Final = frozenset({443, 80, 88, 8443})
CONNECTIONS: Final = 40
"""At once; Telegram's own default. The messages of one chat come one after another in any case."""

SECRET: Final = re.compile(r"[A-Za-z0-9_-]{16,256}", re.ASCII)
WAITING: Final = 100
RECENT: Final = timedelta(hours=1)

COMMANDS: Final[Mapping[str, Mapping[str, str]]] = {
    "": {
        "start": "Start",
        "help": "What this bot can do",
        "human": "Talk to a person",
        "language": "Change the language",
        "stop": "Stop messages",
    },
    "es": {
        "start": "Empezar",
        "help": "Qué puede hacer este bot",
        "human": "Hablar con una persona",
        "language": "Cambiar el idioma",
        "stop": "Dejar de recibir mensajes",
    },
    "pt": {
        "start": "Começar",
        "help": "O que este bot pode fazer",
        "human": "Falar com uma pessoa",
        "language": "Mudar o idioma",
        "stop": "Parar de receber mensagens",
    },
    "ar": {
        "start": "ابدأ",
        "help": "ما الذي يمكن لهذا البوت فعله",
        "human": "التحدث مع شخص",
        "language": "تغيير اللغة",
        "stop": "إيقاف الرسائل",
    },
}
"""By language; "" is shown in every other one."""

MEND: Final = "`channel connect ID` sets it at Telegram again; nothing else changes."
_ANEW: Final = "`channel set ID --token …`"
_POLL: Final = "use the option --poll on a machine without a public address"


def polls(channel: Channel) -> bool:
    return str(channel.config.get("poll", "")).lower() in ("true", "1", "yes")


# Connecting -----------------------------------------------------------------------------------------------


async def account(api: Api, channel: Channel) -> str:
    """Which bot the token is for; nothing is changed. Raises Invalid and SendError."""
    _check_token(channel)
    return short_id((await _me(api, channel)).get("id"))


def _check_token(channel: Channel) -> None:
    if not TOKEN.fullmatch(channel.secrets.get("token", "").strip()):
        raise Invalid("token", "a bot's token as @BotFather gives it: digits, a colon, 35 letters and digits")


async def connect(api: Api, channel: Channel, webhook: str) -> Connected:
    """Set everything up at Telegram. Raises Invalid and SendError."""
    _check_token(channel)
    if not SECRET.fullmatch(channel.secrets.get("secret_token", "")):
        raise Invalid("secret_token", "16 to 256 letters, digits, _ or -")
    if not polls(channel) and (fault := address_fault(webhook)):
        raise Invalid("poll", f"this option, for Telegram can't call this machine: it needs {fault}")
    me = await _me(api, channel)
    if polls(channel):
        await api.call(channel, Call("deleteWebhook", {"drop_pending_updates": False}))
    else:
        await api.call(channel, Call("setWebhook", _wanted(channel, webhook)))
    for language, commands in COMMANDS.items():
        listed = [{"command": name, "description": text} for name, text in commands.items()]
        params = {"commands": listed} | ({"language_code": language} if language else {})
        await api.call(channel, Call("setMyCommands", params))
    username = word(me.get("username"))
    config = {**channel.config, "username": username}
    return Connected(short_id(me.get("id")), f"@{username}", config, channel.secrets, _steps(me, username))


async def _me(api: Api, channel: Channel) -> Mapping[str, Any]:
    try:
        me = mapping(await api.call(channel, Call("getMe", {})))
    except SendError as error:
        if _is_of_the_token(error):
            raise Invalid(
                "token", "a token that Telegram knows: ask @BotFather for the bot's present one"
            ) from None
        raise
    if not (short_id(me.get("id")) and word(me.get("username"))):
        raise SendError("telegram:answer", "Telegram does not say which bot the token is for.", True)
    return me


def _wanted(channel: Channel, webhook: str) -> dict[str, Any]:
    return {
        "url": webhook,
        "secret_token": channel.secrets["secret_token"],
        "allowed_updates": list(ALLOWED),
        "max_connections": CONNECTIONS,
        "drop_pending_updates": False,
    }


def address_fault(webhook: str) -> str | None:
    """Why Telegram would not call an address; None if it would."""
    try:
        parts = urlsplit(webhook)
        port = parts.port or 443
    except ValueError:
        return "a public https address"
    if parts.scheme != "https" or not parts.hostname:
        return "a public https address (set PUBLIC_URL)"
    return None if port in PORTS else "an address with port 443, 80, 88 or 8443 (set PUBLIC_URL)"


def _steps(me: Mapping[str, Any], username: str) -> tuple[str, ...]:
    link = f"https://t.me/{username}"
    steps = [
        f"Customers write to {link}",
        f"A link of yours can say where they come from: {link}?start=summer-ad",
    ]
    if me.get("can_join_groups") is not True:
        steps.append("For groups: @BotFather > /setjoingroups > Enable.")
    if me.get("can_read_all_group_messages") is not True:
        steps.append(
            "In groups the bot sees only what is said to it. To see everything (it still answers only when spoken to): "
            "@BotFather > /setprivacy > Disable, then add it to the group again."
        )
    if me.get("can_connect_to_business") is not True:
        steps.append(
            "To answer in a business account's own chats: @BotFather > Bot Settings > Business Mode."
        )
    return tuple(steps)


# Checking -------------------------------------------------------------------------------------------------


async def check(api: Api, channel: Channel, webhook: str, clock: Clock) -> Sequence[Finding]:
    """Everything that can be wrong, a line each. Never raises for Telegram's answer."""
    try:
        me = mapping(await api.call(channel, Call("getMe", {})))
    except SendError as error:
        if _is_of_the_token(error):
            return (Finding("token", False, error.text, f"Get the token from @BotFather; then {_ANEW}."),)
        return (Finding("token", None, error.text, "Try again later."),)
    found = [_bot(me, channel)]
    try:
        info = mapping(await api.call(channel, Call("getWebhookInfo", {})))
        found += _polled(info) if polls(channel) else _called(info, webhook, clock())
    except SendError as error:
        found.append(Finding("webhook", None, error.text, "Try again later."))
    found.append(await _menu(api, channel))
    return (*found, *_abilities(me))


def _is_of_the_token(error: SendError) -> bool:
    return error.disable_channel or error.code == "telegram:404_not_found"


def _bot(me: Mapping[str, Any], channel: Channel) -> Finding:
    username = word(me.get("username"))
    if short_id(me.get("id")) != channel.account:
        text = f"The token is another bot's (@{username})."
        return Finding(
            "token", False, text, "Set the token of this channel's bot, or add the other bot as a channel."
        )
    if username != channel.config.get("username"):
        text = f"The bot is called @{username} now, so mentions of it in groups are not seen."
        return Finding("token", False, text, MEND)
    return Finding("token", True, f"The token is @{username}'s.")


def _polled(info: Mapping[str, Any]) -> list[Finding]:
    if host := urlsplit(word(info.get("url"))).hostname:
        text = f"A webhook at {host} is set, so Telegram gives no updates to this channel."
        return [
            Finding("webhook", False, text, "Connect the channel again, or take the bot from that program.")
        ]
    return [
        Finding("webhook", True, "No webhook is set: the channel reads its updates by asking."),
        _waiting(info),
    ]


def _called(info: Mapping[str, Any], webhook: str, now: datetime) -> list[Finding]:
    found = []
    if fault := address_fault(webhook):
        found.append(
            Finding("address", False, "Telegram can't call this address.", f"It needs {fault}; or {_POLL}.")
        )
    else:
        found.append(Finding("address", True, "The address is one that Telegram calls."))
    url = word(info.get("url"))
    if url == webhook:
        found.append(Finding("webhook", True, "Telegram calls this channel's address."))
    elif not url:
        found.append(Finding("webhook", False, "No webhook is set: no message arrives.", MEND))
    else:
        host = urlsplit(url).hostname or "another address"
        found.append(Finding("webhook", False, f"Telegram calls another address, at {host}.", MEND))
    return [*found, _waiting(info), _last_error(info, now), _kinds(info)]


def _waiting(info: Mapping[str, Any]) -> Finding:
    count = info.get("pending_update_count")
    if type(count) is not int:
        return Finding("waiting", None, "Telegram does not say how many updates wait.")
    if count <= WAITING:
        return Finding("waiting", True, f"{count} updates wait to be delivered.")
    return Finding(
        "waiting",
        False,
        f"{count} updates wait to be delivered.",
        "See the last error, and whether Parley runs.",
    )


_FAULTS: Final = (
    (
        r"\b401\b",
        "Our answer was 401: the secret that Telegram sends is not the channel's.",
        MEND,
    ),
    (r"\b404\b", "Our answer was 404: no channel is at that address.", MEND),
    (r"\b413\b", "Our answer was 413: a proxy limits the size of requests.", "Let the proxy pass 3 MB."),
    (
        r"\b30\d\b",
        "The address answers with a redirect, which Telegram does not follow.",
        "Set PUBLIC_URL to the final one.",
    ),
    (r"\b5\d\d\b", "Our answer was a server fault.", "See the log of that time, and `GET /ready`."),
    (
        r"ssl|certificate",
        "The certificate is not accepted.",
        "Serve the whole chain of a certificate that names the host, and see that it has not run out.",
    ),
    (
        r"resolve|name or service",
        "The host's name can't be resolved.",
        "Check PUBLIC_URL and the name's DNS record.",
    ),
    (
        r"refused|timed? ?out|timeout|unreachable|reset|closed",
        "Telegram can't reach the server.",
        "Open the port to Telegram (149.154.160.0/20 and 91.108.4.0/22), and check that the proxy runs.",
    ),
    (r"reserved|private|loopback", "The address is not a public one.", f"Set PUBLIC_URL; or {_POLL}."),
)
"""Telegram's own sentence on the last failed delivery, what it means, and what to do."""


def _last_error(info: Mapping[str, Any], now: datetime) -> Finding:
    said, at = word(info.get("last_error_message")), info.get("last_error_date")
    if not said or type(at) is not int:
        return Finding("deliveries", True, "No delivery has failed.")
    when = datetime.fromtimestamp(min(max(at, 0), 2**33), UTC)
    if now - when > RECENT and not info.get("pending_update_count"):
        return Finding("deliveries", True, f"The last failed delivery was on {when:%Y-%m-%d at %H:%M} UTC.")
    for pattern, text, fix in _FAULTS:
        if re.search(pattern, said, re.IGNORECASE):
            return Finding("deliveries", False, f"{text} ({when:%Y-%m-%d %H:%M} UTC)", fix)
    return Finding("deliveries", False, f"Telegram says: {said[:200]} ({when:%Y-%m-%d %H:%M} UTC)", MEND)


def _kinds(info: Mapping[str, Any]) -> Finding:
    missing = [kind for kind in ALLOWED if kind not in sequence(info.get("allowed_updates"))]
    if not missing:
        return Finding("updates", True, "Telegram sends every kind of update that Parley reads.")
    return Finding("updates", False, f"Telegram does not send: {', '.join(missing)}.", MEND)


async def _menu(api: Api, channel: Channel) -> Finding:
    missing = []
    try:
        for language, wanted in COMMANDS.items():
            params = {"language_code": language} if language else {}
            listed = await api.call(channel, Call("getMyCommands", params))
            names = {word(mapping(item).get("command")) for item in items(listed)}
            missing += [language or "default"] if not wanted.keys() <= names else []
    except SendError as error:
        return Finding("menu", None, error.text, "Try again later.")
    if missing:
        return Finding("menu", False, f"The menu of commands is not set for: {', '.join(missing)}.", MEND)
    return Finding("menu", True, "The menu of commands is set in every language.")


def _abilities(me: Mapping[str, Any]) -> list[Finding]:
    """What the bot may do beyond its private chats: neither is wrong, but people wonder."""
    if me.get("can_join_groups") is not True:
        groups = "The bot can't be added to groups. To allow it: @BotFather > /setjoingroups."
    elif me.get("can_read_all_group_messages") is True:
        groups = "In groups the bot sees everything, and answers when spoken to."
    else:
        groups = (
            "In groups the bot sees what is said to it (privacy mode; @BotFather > /setprivacy changes it)."
        )
    may = me.get("can_connect_to_business") is True
    business = (
        "The bot can be connected to a business account."
        if may
        else "The bot can't be connected to a business account. To allow it: @BotFather > Bot Settings > Business Mode."
    )
    return [Finding("groups", True, groups), Finding("business", True, business)]
