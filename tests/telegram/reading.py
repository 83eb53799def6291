"""How the tests of this channel write down what a body led to, in one line each."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from channels.telegram.parse import parse
from gateway.model.content import (
    Command,
    Contacts,
    Content,
    Deleted,
    Edit,
    Location,
    Media,
    Reaction,
    Reply,
    System,
    Text,
    Unsupported,
)
from gateway.model.ports import InboundMessage, Parsed

FOLDER = Path(__file__).parent.parent / "payloads" / "telegram"
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
BOT, USERNAME = "7123456789", "acme_bot"


def body(name: str) -> bytes:
    return (FOLDER / f"{name}.json").read_bytes()


def read(name: str) -> Parsed:
    return parse(BOT, USERNAME, body(name), NOW)


def only(name: str) -> InboundMessage:
    (message,) = read(name).messages
    return message


def written(message: InboundMessage) -> str:
    """`~` silent, `!` by the business, `(past)`, and what it says."""
    marks = ("~" if message.silent else "") + ("!" if message.author == "agent" else "")
    return f"{marks}{said(message.content)}" + (" (past)" if message.past else "")


def said(content: Content) -> str:
    match content:
        case Text(text=text):
            return f"text {text}"
        case Media(media=media, mime=mime, name=name, caption=caption):
            return " ".join(p for p in (media, mime or "-", name, caption and f"| {caption}") if p)
        case Location(latitude=latitude, longitude=longitude, name=name):
            return f"location {latitude} {longitude} {name or ''}".strip()
        case Contacts(contacts=contacts):
            return "; ".join(
                f"contact {c.name} {' '.join(c.phones)}{' own' if c.own else ''}" for c in contacts
            )
        case Reply(id=choice, title=title, to=to):
            return f"reply {choice} | {title} | {to}"
        case Reaction(emoji=emoji, to=to):
            return f"reaction {emoji or '-'} {to}"
        case Command(name=name, argument=argument):
            return f"/{name} {argument}".strip()
        case Edit(to=to, content=changed):
            return f"edit {to} {said(changed)}"
        case Deleted(to=to):
            return f"deleted {to}"
        case System(event=event, text=text):
            return f"system {event}: {text}"
        case Unsupported(kind=kind):
            return f"?{kind}"
    return content.type


def effects(found: Parsed) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    events = [f"{event.name}{' warning' if event.warning else ''}" for event in found.events]
    return [written(message) for message in found.messages], events, list(found.ignored)
