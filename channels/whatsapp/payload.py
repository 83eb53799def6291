"""The model to the Cloud API's message objects, and what WhatsApp can show.

https://developers.facebook.com/documentation/business-messaging/whatsapp/reference/whatsapp-business-phone-number/message-api
and a page a kind: https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from channels.kit import clean_text, shorten
from gateway.model.capabilities import Capabilities, MediaRule
from gateway.model.content import (
    Buttons,
    Choice,
    Contacts,
    Content,
    Flow,
    Link,
    ListMenu,
    Location,
    Media,
    MediaKind,
    Reaction,
    Request,
    SharedContact,
    Template,
    Text,
)
from gateway.model.errors import SendError
from gateway.model.lanes import Rate, Rates
from gateway.model.markup import Span, bare_span, render
from gateway.model.ports import Outgoing

ROW_DESCRIPTION: Final = 72
BUTTON: Final = 20
ROW: Final = 24
BUTTON_ID: Final = 256
ROW_ID: Final = 200
CAPTION: Final = 1024
MOST_CONTACTS: Final = 257

_MB: Final = 1024 * 1024
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."

MEDIA: Final[Mapping[MediaKind, MediaRule]] = {
    "image": MediaRule(5 * _MB, frozenset({"image/jpeg", "image/png"}), CAPTION),
    "video": MediaRule(16 * _MB, frozenset({"video/mp4", "video/3gpp"}), CAPTION),
    "audio": MediaRule(
        16 * _MB, frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"})
    ),
    "voice": MediaRule(16 * _MB, frozenset({"audio/ogg"})),
    "sticker": MediaRule(500 * 1024, frozenset({"image/webp"})),
    "document": MediaRule(
        100 * _MB,
        frozenset(
            {
                "text/plain",
                "application/pdf",
                "application/msword",
                "application/vnd.ms-excel",
                "application/vnd.ms-powerpoint",
                f"{_OFFICE}wordprocessingml.document",
                f"{_OFFICE}spreadsheetml.sheet",
                f"{_OFFICE}presentationml.presentation",
            }
        ),
        CAPTION,
    ),
}
"""https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media"""

RATES: Final = Rates(account=Rate(75, burst=5), recipient=Rate(1 / 6, burst=45))
HIGH_RATES: Final = Rates(account=Rate(980, burst=20), recipient=RATES.recipient)
"""80 messages a second a number, 1,000 for one of the level HIGH, counting the burst; one in six seconds to one customer,
45 of them at once.
https://developers.facebook.com/documentation/business-messaging/whatsapp/throughput"""

CAPABILITIES: Final = Capabilities(
    text_length=4096,
    kinds=frozenset({"location", "contacts", "link", "flow", "reaction", "template"}),
    requests=frozenset({"location", "phone"}),
    media=MEDIA,
    buttons=3,
    button_length=BUTTON,
    button_text_length=1024,
    list_rows=10,
    row_length=ROW,
    service_window_hours=24,
    rates=RATES,
    typing=True,
)

_BULLET: Final = re.compile(r"^(\s*)• ", re.MULTILINE)


def message(outgoing: Outgoing) -> dict[str, Any]:
    """The body of `POST /{phone number id}/messages`. A file of our own is uploaded before, and named by its
    `media_id` here. Raises SendError for what WhatsApp cannot carry."""
    kind, content = _content(outgoing.content, outgoing.id)
    body: dict[str, Any] = {"messaging_product": "whatsapp", "recipient_type": "individual"}
    # A person without a visible phone number is written to by their business-scoped id.
    is_phone = outgoing.address.removeprefix("+").isdecimal()
    body["to" if is_phone else "recipient"] = outgoing.address
    body |= {"type": kind, kind: content}
    # Some ids that we store are made up here: to quote one would be refused.
    if outgoing.reply_to and outgoing.reply_to.startswith("wamid.") and kind != "reaction":
        body["context"] = {"message_id": outgoing.reply_to}
    # Comes back in every receipt: it tells whether a message whose answer we never saw was taken.
    body["biz_opaque_callback_data"] = outgoing.id
    return body


def read_mark(provider_id: str, typing: bool) -> dict[str, Any]:
    """Mark a customer's message as read; `typing` also shows that an answer is coming, for 25 s at most."""
    body: dict[str, Any] = {"messaging_product": "whatsapp", "status": "read", "message_id": provider_id}
    return body | ({"typing_indicator": {"type": "text"}} if typing else {})


def _content(content: Content, ours: str) -> tuple[str, dict[str, Any]]:
    match content:
        case Text(text=text, markup=markup):
            return "text", {"body": _words(text, markup), "preview_url": False}
        case Media():
            return _media(content)
        case Location():
            return "location", _location(content)
        case Contacts(contacts=contacts):
            return "contacts", _contacts(contacts)  # type: ignore[return-value]
        case Reaction(emoji=emoji, to=to):
            return "reaction", {"message_id": to, "emoji": emoji}
        case Template(name=name, language=language, components=components):
            template: dict[str, Any] = {"name": name, "language": {"code": language}}
            return "template", template | ({"components": list(components)} if components else {})
        case Buttons() | ListMenu() | Link() | Request() | Flow():
            kind, action = _action(content, ours)
            body = {"text": _words(content.text, not isinstance(content, Flow) and content.markup)}
            return "interactive", {"type": kind, "body": body, "action": action}
        case _:
            raise _refused(f"cannot_send_{content.type}", "WhatsApp cannot carry this kind of message.")


def _refused(code: str, text: str) -> SendError:
    return SendError(f"whatsapp:{code}", text)


# Words ----------------------------------------------------------------------------------------------------


def written(text: str, markup: bool) -> str:
    """Neutral markup in WhatsApp's own formatting; plain text as it is (WhatsApp knows no escapes).

    https://faq.whatsapp.com/539178204879377
    """
    return clean_text(_BULLET.sub(r"\1- ", render(text, _span)) if markup else text)


def _words(text: str, markup: bool) -> str:
    """As `written`; of what can't be sent there may be nothing left."""
    shown = written(text, markup)
    if not shown.strip():
        raise _refused("no_text", "The message has no text that can be sent.")
    return shown


def _span(span: Span) -> str:
    mark = {"bold": "*", "italic": "_", "code": "`"}.get(span.style)
    return f"{mark}{span.text}{mark}" if mark else bare_span(span)


# Files, places, people ------------------------------------------------------------------------------------


def _media(media: Media) -> tuple[str, dict[str, Any]]:
    kind = "audio" if media.media == "voice" else media.media
    if media.media_id:
        told: dict[str, Any] = {"id": media.media_id}
    elif media.url:
        told = {"link": media.url}
    else:
        raise _refused("no_file", "The message names no file.")
    if media.media == "voice":
        told["voice"] = True
    caption = written(media.caption or "", media.markup)
    if caption.strip() and MEDIA[media.media].caption:
        told["caption"] = caption
    if kind == "document" and (name := clean_text(media.name or "").strip()):
        told["filename"] = shorten(name, 240)
    return kind, told


def _location(place: Location) -> dict[str, Any]:
    if not (abs(place.latitude) <= 90 and abs(place.longitude) <= 180):
        raise _refused(
            "bad_location", "The place is not on earth: latitude is -90 to 90, longitude -180 to 180."
        )
    told: dict[str, Any] = {"latitude": place.latitude, "longitude": place.longitude}
    named = {"name": place.name, "address": place.address}
    return told | {key: _clean((text,))[0] for key, text in named.items() if text and _clean((text,))}


def _contacts(contacts: Sequence[SharedContact]) -> list[dict[str, Any]]:
    if not 0 < len(contacts) <= MOST_CONTACTS:
        raise _refused("bad_contacts", f"WhatsApp takes 1 to {MOST_CONTACTS} contacts in one message.")
    return [_card(contact) for contact in contacts]


def _card(contact: SharedContact) -> dict[str, Any]:
    phones, emails = _clean(contact.phones), _clean(contact.emails)
    name = next(iter((*_clean((contact.name,)), *phones, *emails)), "")
    if not name:
        raise _refused("bad_contacts", "A contact has no name, no number and no address.")
    # A name in parts is required beside the whole one.
    card: dict[str, Any] = {"name": {"formatted_name": name, "first_name": name}}
    if phones:
        card["phones"] = [{"phone": phone, "type": "CELL"} for phone in phones]
    if emails:
        card["emails"] = [{"email": email, "type": "WORK"} for email in emails]
    company = _clean((contact.organisation or "",))
    return card | ({"org": {"company": company[0]}} if company else {})


def _clean(texts: Sequence[str]) -> list[str]:
    """What is left of texts that can be sent, each at most 500 long, 20 of them."""
    return [shorten(clean_text(text).strip(), 500) for text in texts if clean_text(text).strip()][:20]


# What can be pressed --------------------------------------------------------------------------------------


def _action(content: Buttons | ListMenu | Link | Request | Flow, ours: str) -> tuple[str, dict[str, Any]]:
    match content:
        case Buttons(choices=choices):
            return "button", {"buttons": [_button(choice) for choice in choices]}
        case ListMenu(button=button, choices=choices):
            rows = [_row(choice) for choice in choices]
            return "list", {"button": _label(button), "sections": [{"rows": rows}]}
        case Link(title=title, url=url):
            return "cta_url", {"name": "cta_url", "parameters": {"display_text": _label(title), "url": url}}
        case Request(wants="location"):
            return "location_request_message", {"name": "send_location"}
        case Request():
            return "request_contact_info", {"name": "request_contact_info"}
        case Flow():
            return "flow", {"name": "flow", "parameters": _flow(content, ours)}


def _label(text: str, most: int = BUTTON) -> str:
    """What stands on a button or a row."""
    label = clean_text(text).strip()
    if not label:
        raise _refused("no_text", "A button or a row has no text that can be sent.")
    return shorten(label, most)


def _button(choice: Choice) -> dict[str, Any]:
    return {"type": "reply", "reply": {"id": _id(choice, BUTTON_ID), "title": _label(choice.title)}}


def _id(choice: Choice, most: int) -> str:
    if not 0 < len(choice.id) <= most or choice.id != choice.id.strip():
        text = f"A choice's id has 1 to {most} characters on WhatsApp, and no spaces around them."
        raise _refused("bad_id", text)
    return choice.id


def _row(choice: Choice) -> dict[str, Any]:
    row = {"id": _id(choice, ROW_ID), "title": _label(choice.title, ROW)}
    if described := clean_text(choice.description or "").strip():
        row["description"] = shorten(described, ROW_DESCRIPTION)
    return row


def _flow(flow: Flow, ours: str) -> dict[str, Any]:
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/flows/guides/sendingaflow"""
    told: dict[str, Any] = {
        "flow_message_version": "3",
        # Comes back with what was filled in; our own id says which message asked.
        "flow_token": flow.token or ours,
        "flow_id" if flow.flow.isdecimal() else "flow_name": flow.flow,
        "flow_cta": _label(flow.button),
    }
    if flow.screen or flow.data:
        first = {"screen": flow.screen} if flow.screen else {}
        data = {"data": flow.data} if flow.data else {}
        told |= {"flow_action": "navigate", "flow_action_payload": first | data}
    return told | ({"mode": "draft"} if flow.draft else {})
