"""What WhatsApp tells about the account itself (its templates, its numbers, its standing) as events for the owner.

These changes name no phone number id, only the business account they belong to. Everything here is pure and never
raises. https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview, and a page a field.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from channels.read import instant, items, mapping, raw, short_id, word
from channels.whatsapp.content_in import plain
from channels.whatsapp.errors import failure
from channels.whatsapp.templates import limit_of
from gateway.model.message import stable_id
from gateway.model.ports import AccountTold, ChannelEvent
from gateway.model.template import CATEGORIES, DRAFT, STATES, Category, TemplateChange


@dataclass(frozen=True, slots=True)
class Told:
    text: str
    warning: bool = False
    disable: bool = False


def event(
    field: str, waba: str, stamp: object, value: Mapping[str, Any], now: datetime
) -> ChannelEvent | None:
    """The event of one change; None for a field that has no meaning to an owner.

    The same change delivered again gets the same id; `stamp` (the entry's `time`) tells two alike apart.
    """
    known = _FIELDS.get(field)
    if known is None or not value:
        return None
    name, tell = known
    told, at = tell(value), instant(stamp, now)
    return ChannelEvent(
        id=stable_id("we", field, waba, word(stamp), raw(value)),
        name=name,
        at=at,
        text=told.text,
        data=plain(value),
        warning=told.warning or told.disable,
        disable=told.disable,
        template=_template(field, business(waba, value), value, at) if name in _TEMPLATES else None,
        account=_account_told(field, value),
    )


_TEMPLATES: Final = frozenset({"template_status", "template_quality", "template_category", "template_text"})


def _template(field: str, waba: str, value: Mapping[str, Any], at: datetime) -> TemplateChange | None:
    """What a change says of a template; None for one without a name."""
    name = word(value.get("message_template_name"))[:512]
    # Here a language is written en-US, in the list of templates en_US.
    language = word(value.get("message_template_language"))[:16].replace("-", "_")
    if not name or not language:
        return None
    remote = word(value.get("message_template_id"))[:64] or None
    change = TemplateChange(waba, name, language, at, remote)
    if field == "message_template_status_update":
        told = word(value.get("event")).upper()
        state = told if told in STATES and told != DRAFT else None
        return replace(
            change,
            state=state,
            unread=state is None,
            category=_category(value.get("message_template_category")),
            reason=_reason(value),
        )
    if field == "message_template_quality_update":
        score = word(value.get("new_quality_score")).upper()
        return replace(change, quality=score if score in ("GREEN", "YELLOW", "RED") else "")
    if field == "message_template_components_update":
        return replace(change, unread=True)
    now = _category(value.get("new_category")) or _category(value.get("category"))
    coming = _category(value.get("correct_category"))
    return replace(change, category=now, coming=coming if coming and coming != now else "")


def _category(told: object) -> Category | None:
    wanted = word(told).upper()
    return next((c for c in CATEGORIES if c == wanted), None)


def _reason(value: Mapping[str, Any]) -> str:
    rejected, other = mapping(value.get("rejection_info")), mapping(value.get("other_info"))
    reason = word(value.get("reason"))
    parts = (
        word(rejected.get("reason")) or ("" if reason == "NONE" else _shown(reason)),
        word(rejected.get("recommendation")),
        word(other.get("description")),
    )
    return " ".join(p[:300] for p in parts if p)


def _account_told(field: str, value: Mapping[str, Any]) -> AccountTold | None:
    """What a change says of how much the account may send. Which number's quality fell is asked for: it is named by its
    digits only."""
    if field not in ("phone_number_quality_update", "business_capability_update"):
        return None
    names = ("max_daily_conversations_per_business", "max_daily_conversation_per_phone", "current_limit")
    told = next((limit_of(value[n]) for n in names if n in value), AccountTold())
    return replace(told, look=field == "phone_number_quality_update")


def business(waba: str, value: Mapping[str, Any]) -> str:
    """The business account that a change is about: a partner is also told about its clients' accounts."""
    return short_id(mapping(value.get("waba_info")).get("waba_id")) or waba


def history_refused(place: str, errors: object, now: datetime) -> ChannelEvent:
    code = word(mapping(items(errors)[0]).get("code"))[:16] if items(errors) else ""
    return ChannelEvent(
        stable_id("we", "history", place, code),
        "history_refused",
        now,
        failure(code).text,
        {"code": code},
        True,
    )


# A sentence a field ---------------------------------------------------------------------------------------


def _named(value: Mapping[str, Any]) -> str:
    name, language = (
        word(value.get("message_template_name"))[:512],
        word(value.get("message_template_language"))[:16],
    )
    return f"Template {name or 'without a name'}" + (f" ({language})" if language else "")


def _shown(value: object) -> str:
    """A constant of theirs as words."""
    return word(value)[:200].replace("_", " ").lower()


_BAD_STATES: Final = frozenset(
    [
        "REJECTED",
        "DISABLED",
        "PAUSED",
        "FLAGGED",
        "PENDING_DELETION",
        "DELETED",
        "LOCKED",
        "LIMIT_EXCEEDED",
        "ARCHIVED",
    ]
)


def _template_status(value: Mapping[str, Any]) -> Told:
    state = word(value.get("event"))
    rejected = mapping(value.get("rejection_info"))
    reason = word(rejected.get("reason")) or word(value.get("reason"))
    why = f", because of {_shown(reason)}" if reason and reason != "NONE" else ""
    more = word(mapping(value.get("other_info")).get("description"))[:500]
    advice = word(rejected.get("recommendation"))[:500]
    rest = "".join(f" {part}" for part in (more, advice) if part)
    return Told(
        f"{_named(value)} is now {_shown(state) or 'in an unknown state'}{why}.{rest}", state in _BAD_STATES
    )


def _template_quality(value: Mapping[str, Any]) -> Told:
    was, now = word(value.get("previous_quality_score")), word(value.get("new_quality_score"))
    return Told(
        f"{_named(value)}: quality went from {_shown(was)} to {_shown(now)}.", now in ("YELLOW", "RED")
    )


def _template_category(value: Mapping[str, Any]) -> Told:
    new = word(value.get("new_category"))
    coming = word(value.get("correct_category"))
    if coming and coming != new:
        is_now = _shown(new) or _shown(value.get("category"))
        return Told(f"{_named(value)} is {is_now} and will be moved to category {_shown(coming)}.", True)
    was = _shown(value.get("previous_category")) or "another category"
    # A category decides what a message costs and who may get it.
    return Told(f"{_named(value)} was moved from {was} to {_shown(new)}.", new == "MARKETING")


def _template_parts(value: Mapping[str, Any]) -> Told:
    return Told(f"{_named(value)}: its text was changed.")


_ENDS: Final = {
    "ACCOUNT_DELETED": "The business account was deleted.",
    "PARTNER_REMOVED": "The business account is not shared with this app any more.",
    "PARTNER_APP_UNINSTALLED": "The business removed this app from its account.",
}
_HARMS: Final = {
    "ACCOUNT_RESTRICTION": "WhatsApp restricted the business account",
    "ACCOUNT_VIOLATION": "WhatsApp found that the business account broke a policy",
    "DISABLED_UPDATE": "WhatsApp is disabling the business account",
    "ACCOUNT_OFFBOARDED": "The number left the Cloud API after a change of the phone",
}


def _account(value: Mapping[str, Any]) -> Told:
    state = word(value.get("event"))
    if state in _ENDS:
        return Told(_ENDS[state], disable=True)
    if mapping(value.get("ban_info")).get("waba_ban_state") == "REINSTATE":
        return Told("WhatsApp reinstated the business account.")
    if state in _HARMS:
        ban = _shown(mapping(value.get("ban_info")).get("waba_ban_state"))
        broken = _shown(mapping(value.get("violation_info")).get("violation_type"))
        limits = [_shown(mapping(r).get("restriction_type")) for r in items(value.get("restriction_info"))]
        why = ", ".join(part for part in (ban, broken, *limits) if part)
        return Told(_HARMS[state] + (f": {why}." if why else "."), True)
    return Told(f"The business account: {_shown(state) or 'an unknown change'}.")


def _alert(value: Mapping[str, Any]) -> Told:
    alert = mapping(value.get("alert_info")) or value
    kind, said = _shown(alert.get("alert_type")), word(alert.get("alert_description"))[:500]
    harmful = word(alert.get("alert_severity")) in ("WARNING", "CRITICAL")
    return Told(f"WhatsApp's alert: {kind or 'unknown'}." + (f" {said}" if said else ""), harmful)


def _review(value: Mapping[str, Any]) -> Told:
    decision = word(value.get("decision"))
    return Told(f"WhatsApp's review of the business account: {_shown(decision)}.", decision == "REJECTED")


def _number(value: Mapping[str, Any]) -> str:
    shown = word(value.get("display_phone_number"))[:32]
    return f"Number {shown}" if shown else "The number"


def _quality(value: Mapping[str, Any]) -> Told:
    state = word(value.get("event"))
    limit = value.get("max_daily_conversations_per_business") or value.get("current_limit")
    now = f"; messaging limit {_shown(limit)}" if word(limit) else ""
    return Told(
        f"{_number(value)}: {_shown(state) or 'unknown change'}{now}.", state in ("FLAGGED", "DOWNGRADE")
    )


def _name(value: Mapping[str, Any]) -> Told:
    decision, why = word(value.get("decision")), _shown(value.get("rejection_reason"))
    wanted = word(value.get("requested_verified_name"))[:200]
    because = f", because of {why}" if why and why != "none" else ""
    text = f"{_number(value)}: the display name {wanted} was {_shown(decision) or 'reviewed'}{because}."
    return Told(text, decision in ("REJECTED", "DECLINED"))


def _capability(value: Mapping[str, Any]) -> Told:
    limits = [f"{_shown(name)} {word(most)}" for name, most in value.items() if word(most)]
    return Told(f"The account's limits changed: {', '.join(limits)[:500]}.")


def _security(value: Mapping[str, Any]) -> Told:
    return Told(
        f"{_number(value)}: security of the account: {_shown(value.get('event')) or 'unknown change'}.", True
    )


def _flow(value: Mapping[str, Any]) -> Told:
    state, alert = word(value.get("new_status")), word(value.get("alert_state"))
    said = word(value.get("message"))[:500] or _shown(value.get("event"))
    return Told(f"A flow: {said}", state in ("THROTTLED", "BLOCKED") or alert == "ACTIVATED")


def _payment(value: Mapping[str, Any]) -> Told:
    return Told(
        f"Payment configuration {word(value.get('configuration_name'))[:100]}: {_shown(value.get('status'))}."
    )


def _username(value: Mapping[str, Any]) -> Told:
    return Told(
        f"{_number(value)}: the username {word(value.get('username'))[:64]} is {_shown(value.get('status'))}."
    )


_FIELDS: Final[Mapping[str, tuple[str, Callable[[Mapping[str, Any]], Told]]]] = {
    "message_template_status_update": ("template_status", _template_status),
    "message_template_quality_update": ("template_quality", _template_quality),
    "message_template_components_update": ("template_text", _template_parts),
    "template_category_update": ("template_category", _template_category),
    "template_correct_category_detection": ("template_category", _template_category),
    "account_update": ("account", _account),
    "account_alerts": ("account_alert", _alert),
    "account_review_update": ("account_review", _review),
    "phone_number_quality_update": ("number_quality", _quality),
    "phone_number_name_update": ("number_name", _name),
    "business_capability_update": ("account_limits", _capability),
    "security": ("security", _security),
    "flows": ("flow", _flow),
    "payment_configuration_update": ("payments", _payment),
    "business_username_update": ("username", _username),
}
