"""Who a WhatsApp payload speaks of: by phone number, by business-scoped user id, or by both.

https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from channels.kit import clean_name
from channels.read import items, mapping, short_id, word
from channels.whatsapp.content_in import new_addresses
from gateway.model.content import Contacts
from gateway.model.identity import Identity

_PHONE: Final = re.compile(r"\+?[\d\s().-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Person:
    """A customer: by phone number if it is visible, with the business-scoped id as alias; else by that id."""

    identity: Identity
    name: str | None
    phone: str | None
    aliases: tuple[Identity, ...]


def person(value: Mapping[str, Any], business: str, said: str, user: str) -> Person | None:
    """Who is meant by a phone number's WhatsApp id (or in its place a scoped one) and a scoped id, either empty."""
    contact = _contact(value, said, user)
    said = said or short_id(contact.get("wa_id"))
    user = user or short_id(contact.get("user_id"))
    digits = digits_of(said)
    if said and not digits:
        user, said = user or said, ""
    scoped = _scoped(business, user) if user else None
    profile = mapping(contact.get("profile"))
    name = clean_name(word(profile.get("name"))) or clean_name(word(profile.get("username")))
    if digits:
        return Person(_number(digits), name, f"+{digits}", (scoped,) if scoped else ())
    return Person(scoped, name, None, ()) if scoped else None


def _number(digits: str) -> Identity:
    return Identity("whatsapp", "", digits)


def _scoped(business: str, user: str) -> Identity:
    return Identity("whatsapp", business, user)


def _contact(value: Mapping[str, Any], said: str, user: str) -> Mapping[str, Any]:
    """The person's own entry of `contacts`. A lone one is theirs even if the numbers differ (in some countries a
    WhatsApp id is not the phone number), unless the change speaks of somebody else, too: two people must never
    become one."""
    contacts = [mapping(item) for item in items(value.get("contacts"))]
    for contact in contacts:
        if said and short_id(contact.get("wa_id")) == said:
            return contact
        if user and short_id(contact.get("user_id")) == user:
            return contact
    return contacts[0] if len(contacts) == 1 and _speaks_of_one(value) else {}


def _speaks_of_one(value: Mapping[str, Any]) -> bool:
    said = [mapping(m).get("from") for m in items(value.get("messages"))]
    heard = [mapping(m).get("to") for m in items(value.get("message_echoes"))]
    return "history" not in value and len({short_id(p) for p in (*said, *heard)}) <= 1


def digits_of(text: str) -> str:
    """The digits of a phone number however it is written; "" for what is not one. Never checked further:
    some valid ids fail every validity test."""
    return re.sub(r"\D", "", text) if _PHONE.fullmatch(text) else ""


def moved(
    message: Mapping[str, Any], who: Person, business: str
) -> tuple[str, tuple[Identity, ...], str | None]:
    """Where a customer is now, everything they are known by, and their number."""
    number, user, before = new_addresses(message)
    digits = digits_of(number)
    known = [*who.aliases, *(_scoped(business, u) for u in (before, user) if u)]
    if digits:
        known.append(_number(digits))
    aliases = tuple(alias for alias in dict.fromkeys(known) if alias != who.identity)
    phone = f"+{digits}" if digits else who.phone
    # A number that stays visible goes on working when only the scoped id changed.
    return (phone or "").removeprefix("+") or user or who.identity.id, aliases, phone


def shared(content: Contacts, who: Person) -> tuple[tuple[Identity, ...], str | None]:
    """The customer's own card, sent by the button that asks for it, says which number they have."""
    own = [c for c in content.contacts if c.own]
    digits = digits_of(own[0].phones[0]) if len(own) == 1 and len(own[0].phones) == 1 else ""
    if who.phone or not digits:
        return who.aliases, who.phone
    return (*who.aliases, _number(digits)), f"+{digits}"
