"""What was read from a payload in one line each, for the table of cases."""

from gateway.model.content import (
    Album,
    Contacts,
    Content,
    Deleted,
    Edit,
    FormReply,
    Location,
    Media,
    Order,
    Reaction,
    Reply,
    SharedContact,
    System,
    Text,
    Unsupported,
)
from gateway.model.message import Receipt
from gateway.model.ports import ChannelEvent, InboundMessage


def message(found: InboundMessage) -> str:
    silent = "~" if found.silent else ""
    agent = "<" if found.author == "agent" else ""
    return silent + agent + ("^" if found.past else "") + content(found.content)


def content(said: Content) -> str:
    match said:
        case Text(text=text):
            return f"text {text}"
        case Reply(id=choice, title=title):
            return f"reply {choice} {title}"
        case Media():
            told = (said.media, said.media_id, said.mime, said.name, said.caption)
            return " ".join(part for part in told if part)
        case Album(items=items):
            return "album " + ", ".join(content(item) for item in items)
        case Location(latitude=latitude, longitude=longitude, name=name):
            return f"location {latitude:.2f} {longitude:.2f} {name or ''}".strip()
        case Contacts(contacts=contacts):
            return "contacts " + "; ".join(card(contact) for contact in contacts)
        case Order(items=items, text=text):
            goods = ", ".join(f"{i.quantity} {i.product} {i.price} {i.currency}".strip() for i in items)
            return f"order {goods} {text}".strip()
        case FormReply(values=values):
            return "form " + ", ".join(f"{name}={value}" for name, value in values.items())
        case Reaction(emoji=emoji, to=to):
            return f"reaction {emoji} {to}"
        case Edit(to=to, content=changed):
            return f"edit {to} {content(changed)}"
        case Deleted(to=to):
            return f"deleted {to}"
        case System(event=event, text=text):
            return f"system {event} {text}".strip()
        case Unsupported(kind=kind):
            return f"?{kind}"
    return said.type


def card(contact: SharedContact) -> str:
    told = (
        contact.name,
        *contact.phones,
        *contact.emails,
        contact.organisation,
        "own" if contact.own else "",
    )
    return " ".join(part for part in told if part)


def receipt(found: Receipt) -> str:
    failed = f":{found.failure.code}" if found.failure else ""
    return found.status.label + failed + (f"={found.message}" if found.message else "")


def event(found: ChannelEvent) -> str:
    return ("x" if found.disable else "!" if found.warning else "") + f"{found.name} {found.text}"
