"""What a message says: one tagged union, the same on every channel.

Every kind is a frozen dataclass with a literal `type`; `to_doc` and `from_doc` turn the union into plain
JSON-ready documents and back, and refuse what does not fit.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from gateway.model.markup import bare

Count = Annotated[int, Field(ge=0, le=2**53)]
"""A number of things, bytes or pixels: none that is below zero, or more than every store and reader of JSON can hold."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where an answer comes from: a document's title, its address if it has one, its page if it has pages."""

    title: str
    url: str | None = None
    page: Count | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """What was said. `markup`: the text is in the neutral markup (gateway.model.markup), else it is plain: what a
    customer types never becomes formatting or a link by itself."""

    text: str
    sources: tuple[Source, ...] = ()
    markup: bool = False
    type: Literal["text"] = "text"


MediaKind = Literal["image", "video", "audio", "voice", "document", "sticker"]


@dataclass(frozen=True, slots=True)
class Media:
    """A file. `file` is its id in our own store; `media_id` is the provider's id, `url` an address that anybody may
    fetch. `size` is in bytes, `seconds` is how long it plays. `mime` and `name` are what the sender claims."""

    media: MediaKind
    mime: str = ""
    media_id: str | None = None
    url: str | None = None
    file: str | None = None
    name: str | None = None
    caption: str | None = None
    markup: bool = False
    size: Count | None = None
    seconds: Count | None = None
    width: Count | None = None
    height: Count | None = None
    type: Literal["media"] = "media"


@dataclass(frozen=True, slots=True)
class Album:
    """Several files that were sent as one message, in order."""

    items: tuple[Media, ...]
    type: Literal["album"] = "album"


@dataclass(frozen=True, slots=True)
class Location:
    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None
    type: Literal["location"] = "location"


@dataclass(frozen=True, slots=True)
class SharedContact:
    """`own`: the channel vouches that it is the sender's own (Telegram's contact button, WhatsApp's)."""

    name: str
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    organisation: str | None = None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Contacts:
    contacts: tuple[SharedContact, ...]
    type: Literal["contacts"] = "contacts"


@dataclass(frozen=True, slots=True)
class Choice:
    """One button or row. `id` comes back in the customer's `Reply`; `title` is what they see."""

    id: str
    title: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Buttons:
    text: str
    choices: tuple[Choice, ...]
    sources: tuple[Source, ...] = ()
    markup: bool = False
    type: Literal["buttons"] = "buttons"


@dataclass(frozen=True, slots=True)
class ListMenu:
    """A text with a button that opens a list of rows."""

    text: str
    button: str
    choices: tuple[Choice, ...]
    markup: bool = False
    type: Literal["list"] = "list"


@dataclass(frozen=True, slots=True)
class Link:
    """A text with one button that opens an address."""

    text: str
    title: str
    url: str
    markup: bool = False
    type: Literal["link"] = "link"


@dataclass(frozen=True, slots=True)
class Request:
    """A text with a button by which the customer shares their location or their phone number."""

    text: str
    wants: Literal["location", "phone"]
    button: str = ""
    markup: bool = False
    type: Literal["request"] = "request"


@dataclass(frozen=True, slots=True)
class Reply:
    """A pressed button or row. `to` is our message that offered it, when the provider says so."""

    id: str
    title: str
    to: str | None = None
    type: Literal["reply"] = "reply"


@dataclass(frozen=True, slots=True)
class Reaction:
    """An emoji on a message; an empty one takes it back."""

    emoji: str
    to: str
    type: Literal["reaction"] = "reaction"


@dataclass(frozen=True, slots=True)
class Template:
    """A pre-approved WhatsApp message: its name, language and components as the provider takes them."""

    name: str
    language: str
    components: tuple[dict[str, Any], ...] = ()
    type: Literal["template"] = "template"


@dataclass(frozen=True, slots=True)
class Flow:
    """A WhatsApp Flow: a form that the business built with Meta, opened by a button. What the customer fills in comes
    back as a `FormReply`."""

    text: str
    button: str
    flow: str
    token: str = ""
    screen: str | None = None
    data: dict[str, Any] | None = None
    draft: bool = False
    type: Literal["flow"] = "flow"


@dataclass(frozen=True, slots=True)
class OrderItem:
    """`price` is for one piece, in the currency's main unit, as the provider wrote it."""

    product: str
    quantity: Count
    price: str = ""
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer put into the cart of a WhatsApp catalogue."""

    catalog: str
    items: tuple[OrderItem, ...]
    text: str = ""
    type: Literal["order"] = "order"


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a form. `kind` decides the keyboard and the check; the value of a `checkbox` is "yes" or "", and it is shown
    unticked unless they ticked it themselves."""

    name: str
    label: str
    kind: Literal["text", "phone", "email", "checkbox"] = "text"
    required: bool = True
    error: str | None = None
    value: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """Fields to fill in, with what the customer agrees to by sending it."""

    text: str
    fields: tuple[FormField, ...]
    submit: str
    cancel: str
    consent: str | None = None
    type: Literal["form"] = "form"


@dataclass(frozen=True, slots=True)
class FormReply:
    """A filled-in form, or a cancelled one. `to` is our message that carried the form."""

    values: dict[str, str]
    to: str | None = None
    cancelled: bool = False
    type: Literal["form_reply"] = "form_reply"


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the channel's own menu: `start`, `help`, `stop`, `human`, `language` or another, without its slash.
    `argument` is the rest of the line."""

    name: str
    argument: str = ""
    type: Literal["command"] = "command"


@dataclass(frozen=True, slots=True)
class System:
    """Something that happened rather than was said: `event` is a stable name, `text` is for people."""

    event: str
    text: str = ""
    data: dict[str, Any] | None = None
    type: Literal["system"] = "system"


@dataclass(frozen=True, slots=True)
class Unsupported:
    """What a provider sent and we do not model: its kind, and the raw payload, kept as JSON text."""

    kind: str
    raw: str = ""
    reason: str | None = None
    type: Literal["unsupported"] = "unsupported"


NEWER: Final = Unsupported("newer")
"""What a newer version of ours has written and this one can't read: it is left to processes of that version."""

Editable = Annotated[Text | Media | Location | Buttons, Field(discriminator="type")]


@dataclass(frozen=True, slots=True)
class Edit:
    """An earlier message says something else now. `to` is the message: in what comes in the provider's id, in what goes
    out our own."""

    to: str
    content: Editable
    type: Literal["edit"] = "edit"


@dataclass(frozen=True, slots=True)
class Deleted:
    """An earlier message was taken back. `to` as in `Edit`."""

    to: str
    type: Literal["deleted"] = "deleted"


Content = (
    Text
    | Media
    | Album
    | Location
    | Contacts
    | Buttons
    | ListMenu
    | Link
    | Request
    | Reply
    | Reaction
    | Template
    | Flow
    | Order
    | Form
    | FormReply
    | Command
    | Edit
    | Deleted
    | System
    | Unsupported
)

# Errors name the field, never the value: what a customer said does not belong in a log.
_adapter: TypeAdapter[Content] = TypeAdapter(
    Annotated[Content, Field(discriminator="type")], config=ConfigDict(hide_input_in_errors=True)
)


def to_doc(content: Content) -> dict[str, Any]:
    """The content as a JSON-ready document; fields at their default are left out, `type` never is."""
    doc: dict[str, Any] = _adapter.dump_python(content, mode="json", exclude_defaults=True)
    doc["type"] = content.type
    if isinstance(content, Edit):
        doc["content"]["type"] = content.content.type
    return doc


def from_doc(doc: Any) -> Content:
    """The content that a document describes. Raises pydantic's ValidationError, which names the field."""
    return _adapter.validate_python(doc)


def plain_text(content: Content) -> str:
    """What a person would read out: for the brain, for lists of conversations, for logs of a test."""
    match content:
        case Text(text=text, markup=markup) | Buttons(text=text, markup=markup):
            return bare(text) if markup else text
        case (
            ListMenu(text=text, markup=markup)
            | Link(text=text, markup=markup)
            | Request(text=text, markup=markup)
        ):
            return bare(text) if markup else text
        case Form(text=text) | Flow(text=text):
            return text
        case Reply(title=title):
            return title
        case Media(caption=caption, name=name, media=media):
            return caption or name or media
        case Album(items=items):
            return next((m.caption for m in items if m.caption), None) or f"{len(items)} files"
        case Order(items=items, text=text):
            return text or ", ".join(f"{i.quantity} x {i.product}" for i in items)
        case Command(name=name, argument=argument):
            return f"/{name} {argument}".strip()
        case Edit(content=changed):
            return plain_text(changed)
        case Deleted():
            return "deleted"
        case Location(name=name, address=address):
            return name or address or "location"
        case Contacts(contacts=contacts):
            return ", ".join(c.name for c in contacts)
        case Reaction(emoji=emoji):
            return emoji
        case Template(name=name):
            return name
        case FormReply(values=values):
            return ", ".join(v for v in values.values() if v)
        case System(text=text, event=event):
            return text or event
        case Unsupported(kind=kind):
            return kind
