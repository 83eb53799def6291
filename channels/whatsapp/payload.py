"""The model to the Cloud API's message objects.

https://developers.facebook.com/documentation/business-messaging/whatsapp/reference/whatsapp-business-phone-number/message-api
"""

from collections.abc import Sequence
from typing import Any, Final

from channels.kit import clean_text, shorten
from gateway.model.content import Buttons, Choice, Content, ListMenu, Template, Text
from gateway.model.errors import SendError
from gateway.model.ports import Outgoing

ROW_DESCRIPTION: Final = 72
LIST_BUTTON: Final = 20


def message(outgoing: Outgoing) -> dict[str, Any]:
    """The body of `POST /{phone number id}/messages`. Raises SendError for what WhatsApp cannot carry."""
    kind, content = _content(outgoing.content)
    body: dict[str, Any] = {"messaging_product": "whatsapp", "recipient_type": "individual"}
    # A person without a visible phone number is written to by their business-scoped id.
    is_phone = outgoing.address.removeprefix("+").isdecimal()
    body["to" if is_phone else "recipient"] = outgoing.address
    body |= {"type": kind, kind: content}
    if outgoing.reply_to:
        body["context"] = {"message_id": outgoing.reply_to}
    # Comes back in every receipt: it tells whether a message whose answer we never saw was taken.
    body["biz_opaque_callback_data"] = outgoing.id
    return body


def read_mark(provider_id: str, typing: bool) -> dict[str, Any]:
    """Mark a customer's message as read; `typing` also shows that an answer is coming, for 25 s at most."""
    body: dict[str, Any] = {"messaging_product": "whatsapp", "status": "read", "message_id": provider_id}
    return body | ({"typing_indicator": {"type": "text"}} if typing else {})


def _content(content: Content) -> tuple[str, dict[str, Any]]:
    match content:
        case Text(text=text):
            return "text", {"body": clean_text(text), "preview_url": False}
        case Buttons(text=text, choices=choices):
            return "interactive", _interactive("button", text, {"buttons": [_button(c) for c in choices]})
        case ListMenu(text=text, button=button, choices=choices):
            action = {"button": shorten(clean_text(button), LIST_BUTTON), "sections": _sections(choices)}
            return "interactive", _interactive("list", text, action)
        case Template(name=name, language=language, components=components):
            template: dict[str, Any] = {"name": name, "language": {"code": language}}
            return "template", template | ({"components": list(components)} if components else {})
        case _:
            raise SendError(
                f"whatsapp:cannot_send_{content.type}", "WhatsApp cannot carry this kind of message."
            )


def _interactive(kind: str, text: str, action: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "body": {"text": clean_text(text)}, "action": action}


def _button(choice: Choice) -> dict[str, Any]:
    return {"type": "reply", "reply": {"id": choice.id, "title": clean_text(choice.title)}}


def _sections(choices: Sequence[Choice]) -> list[dict[str, Any]]:
    return [{"rows": [_row(choice) for choice in choices]}]


def _row(choice: Choice) -> dict[str, Any]:
    row = {"id": choice.id, "title": clean_text(choice.title)}
    if choice.description:
        row["description"] = shorten(clean_text(choice.description), ROW_DESCRIPTION)
    return row
