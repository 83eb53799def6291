"""Buttons, menus, forms, shortcuts and slash commands to the model.

https://docs.slack.dev/reference/interaction-payloads
https://docs.slack.dev/interactivity/implementing-slash-commands
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from channels.read import instant, items, mapping, raw, short_id, word
from channels.slack.body import Body, is_direct, name
from channels.slack.events import Found
from channels.slack.words import plain, unescaped
from gateway.model.content import Command, Content, FormReply, Reply, System, Text, Unsupported

COMMAND: Final = "parley"
"""The slash command in the manifest; what follows it says what is wanted."""

LINK: Final = "parley:link"
"""The action of a button that only opens an address."""

_CORE: Final = frozenset({"start", "help", "stop", "human", "language"})


def read(body: Body, found: Found) -> None:
    """Read an interaction, or a command's fields, into `found`."""
    kind = word(body.found.get("type"))
    if not kind:
        _command(body, found)
    else:
        _READERS.get(kind, _other)(body, found)


def _user(body: Body) -> tuple[str, dict[str, Any]]:
    user = mapping(body.found.get("user"))
    return short_id(user.get("id")), {"name": name(user)}


# Buttons and menus ----------------------------------------------------------------------------------------


def _actions(body: Body, found: Found) -> None:
    user, who = _user(body)
    channel, ts, root = _place(body)
    to = f"{channel}:{ts}" if channel and ts else None
    for index, item in enumerate(items(body.found.get("actions"))):
        action = mapping(item)
        content = _pressed(action, to)
        if not user or action.get("action_id") == LINK:
            found.ignored.append("link button" if user else "action without a person")
            continue
        stamp = short_id(action.get("action_ts"))
        found.messages.append(
            body.message(
                f"{channel}:{ts}:{stamp}:{index}" if stamp else "",
                user,
                _address(user, channel, ts, root),
                instant(stamp, body.now),
                content,
                reply_to=to,
                **who,
                **_where(body, channel, ts, root),
            )
        )


def _place(body: Body) -> tuple[str, str, str]:
    """Channel, message and thread that an interaction happened in; empty for one in a window of its own."""
    container = mapping(body.found.get("container"))
    message = mapping(body.found.get("message"))
    channel = short_id(container.get("channel_id")) or short_id(mapping(body.found.get("channel")).get("id"))
    ts = short_id(container.get("message_ts")) or short_id(message.get("ts"))
    return channel, ts, short_id(message.get("thread_ts")) or short_id(container.get("thread_ts"))


def _address(user: str, channel: str, ts: str, root: str) -> str:
    if not channel:
        return user
    root = root or ("" if is_direct(channel) else ts)
    return f"{channel}:{root}" if root else channel


def _where(body: Body, channel: str, ts: str, root: str) -> dict[str, Any]:
    if not channel or is_direct(channel):
        return {}
    return {"place": body.thread(channel, root or ts)}


def _pressed(action: Mapping[str, Any], to: str | None) -> Content:
    chosen = list(_chosen(action))
    if not chosen:
        return Unsupported(word(action.get("type"))[:64] or "action", raw(action))
    values, titles = zip(*chosen, strict=True)
    return Reply(", ".join(values), ", ".join(titles), to)


def _chosen(action: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was pressed or picked, as `(id, title)`."""
    options = [*items(action.get("selected_options")), *items(action.get("selected_option"))]
    if options:
        for option in map(mapping, options):
            value, title = short_id(option.get("value")), _title(option)
            if value or title:
                yield value or title[:512], title or value
        return
    for key in _PICKED:
        picked = action.get(key)
        given = [g for g in map(short_id, picked if isinstance(picked, list) else [picked]) if g]
        for one in given:
            yield one, _title(action) or one
        if given:
            return


def _title(element: Mapping[str, Any]) -> str:
    return unescaped(word(mapping(element.get("text")).get("text")))


_PICKED: Final = (
    "value",
    "selected_user",
    "selected_conversation",
    "selected_channel",
    "selected_users",
    "selected_conversations",
    "selected_channels",
    "selected_date",
    "selected_time",
    "selected_date_time",
    "action_id",
)


# Forms ----------------------------------------------------------------------------------------------------


def _form(body: Body, found: Found) -> None:
    user, who = _user(body)
    view = mapping(body.found.get("view"))
    if not user:
        found.ignored.append("form without a person")
        return
    closed = body.found.get("type") == "view_closed"
    to = short_id(view.get("private_metadata")) or None
    content = FormReply({} if closed else _values(view), to, cancelled=closed)
    stamp = f"{short_id(view.get('id'))}:{short_id(view.get('hash'))}"
    provider_id = "" if stamp == ":" else f"{stamp}:closed" if closed else stamp
    found.messages.append(body.message(provider_id, user, user, body.now, content, **who))


def _values(view: Mapping[str, Any]) -> dict[str, str]:
    values: dict[str, str] = {}
    for block, actions in mapping(mapping(view.get("state")).get("values")).items():
        for action, state in mapping(actions).items():
            chosen = ", ".join(value for value, _ in _chosen({**mapping(state), "action_id": ""}))
            # An action's name is what the form's author chose; a doubled one is told apart by its block.
            key = word(action) if word(action) not in values else f"{word(block)}.{word(action)}"
            values[key] = chosen or word(mapping(state).get("value"))
    return values


# Shortcuts and commands -----------------------------------------------------------------------------------


def _shortcut(body: Body, found: Found) -> None:
    user, who = _user(body)
    callback = short_id(body.found.get("callback_id"))
    stamp = short_id(body.found.get("trigger_id")) or short_id(body.found.get("action_ts"))
    at = instant(body.found.get("action_ts"), body.now)
    wanted = callback.removeprefix(f"{COMMAND}_")
    if not user:
        found.ignored.append("shortcut without a person")
    elif wanted in _CORE:
        found.messages.append(body.message(stamp, user, user, at, Command(wanted), **who))
    else:
        note = System("shortcut", data={"callback_id": callback})
        found.messages.append(body.message(stamp, user, user, at, note, silent=True, **who))


def _message_action(body: Body, found: Found) -> None:
    """A person points at a message, theirs or another's, and asks about it; the answer goes to them alone."""
    user, who = _user(body)
    text = plain(word(mapping(body.found.get("message")).get("text")))
    if not (user and text):
        found.ignored.append("message action without a text")
        return
    stamp = short_id(body.found.get("trigger_id")) or short_id(body.found.get("action_ts"))
    at = instant(body.found.get("action_ts"), body.now)
    found.messages.append(body.message(stamp, user, user, at, Text(text), extra={"forwarded": True}, **who))


def _command(body: Body, found: Found) -> None:
    fields = body.found
    user = short_id(fields.get("user_id"))
    if not user:
        found.ignored.append("command without a person")
        return
    content = _asked(word(fields.get("command")).removeprefix("/"), word(fields.get("text")).strip())
    given = short_id(fields.get("trigger_id"))
    # A command may be given anywhere, even where the app is not: the answer goes to the person's direct message.
    found.messages.append(
        body.message(given, user, user, body.now, content, name=name({"name": fields.get("user_name")}))
    )
    text = f"💬 <@{body.bot}>" if body.bot else "💬"
    found.answer = json.dumps({"response_type": "ephemeral", "text": text}, ensure_ascii=False)


def _asked(command: str, text: str) -> Content:
    if command != COMMAND:
        return Command(command[:64], plain(text))
    first, _, rest = text.partition(" ")
    if first.lower() in _CORE:
        return Command(first.lower(), plain(rest))
    return Text(plain(text)) if text else Command("help")


# The rest -------------------------------------------------------------------------------------------------


def _suggestion(body: Body, found: Found) -> None:
    found.answer = '{"options":[]}'
    found.ignored.append("block_suggestion")


def _other(body: Body, found: Found) -> None:
    found.ignored.append(word(body.found.get("type"))[:64])


_READERS: Final[Mapping[str, Callable[[Body, Found], None]]] = {
    "block_actions": _actions,
    "view_submission": _form,
    "view_closed": _form,
    "shortcut": _shortcut,
    "message_action": _message_action,
    "block_suggestion": _suggestion,
}
