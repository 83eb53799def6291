"""May this message be sent now? One pure function decides, when a message is written and again when it is sent.

The rules stand in `RULES`, in the order in which they are asked; `docs/permission.md` shows the same table, made from it.

Sources: WhatsApp's service window and templates, https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
(free-form messages are allowed for 24 hours after the customer's last message; templates at any time), and its opt-in rule,
https://developers.facebook.com/documentation/business-messaging/whatsapp/getting-opt-in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from consent.facts import Facts, TemplateFacts
from consent.hours import next_allowed
from gateway.model.consent import MARKETING, SERVICE, UTILITY, Standing
from gateway.model.content import Template
from gateway.model.message import Message
from gateway.model.permission import Decision, Stage

AGAIN: Final = timedelta(hours=1)
"""When what a person or the provider has to mend is asked again."""


@dataclass(frozen=True, slots=True)
class Allowed:
    pass


@dataclass(frozen=True, slots=True)
class Refused:
    """`reason` is a stable code, `text` says it plainly, `remedy` what to do. `hold`: keep it, and ask again at `until`, or
    when the customer writes."""

    reason: str
    text: str
    remedy: str = ""
    hold: bool = False
    until: datetime | None = None


Verdict = Allowed | Refused


def decide(message: Message, facts: Facts, now: datetime) -> Verdict:
    """Whether a message may be sent now: the first rule that refuses, else allowed."""
    for rule in RULES:
        refused = rule.ask(message, facts, now)
        if refused is not None:
            return refused
    return ALLOWED


def purpose_of(message: Message, template: TemplateFacts | None) -> str:
    """What a message is for: as it was written, but a template that the provider counts as marketing is marketing."""
    if template is not None and template.category == "MARKETING" and message.purpose in (SERVICE, UTILITY):
        return MARKETING
    return message.purpose


def begins(message: Message, facts: Facts, now: datetime) -> bool:
    """Whether it is we who begin: nobody has just written, or it is for another purpose than answering."""
    return message.purpose != SERVICE or (facts.windowed and not _open(facts, now))


def decision(stage: Stage, message: Message, facts: Facts, verdict: Verdict, now: datetime) -> Decision:
    """A decision as it is kept, with what it rested on."""
    told = _told(message, facts, now)
    if isinstance(verdict, Refused):
        return Decision(
            stage, now, False, verdict.reason, verdict.text, verdict.remedy, verdict.until, facts=told
        )
    return Decision(stage, now, True, facts=told)


# The rules ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """`name` is the reason that it gives; `says` and `then` are for people."""

    name: str
    says: str
    then: str
    ask: Callable[[Message, Facts, datetime], Refused | None]


def _owner(message: Message, facts: Facts, now: datetime) -> Refused | None:
    announced = facts.owner == "queue" and message.extra.get("announces") == "queue"
    # A STOP is confirmed whoever owns the conversation.
    if message.author != "bot" or facts.owner == "bot" or announced or _confirms(message):
        return None
    text = "A person owns the conversation, so the bot stays silent."
    if message.campaign:
        return Refused("owner", text, "It is sent when the bot has it back.", hold=True, until=now + AGAIN)
    return Refused("owner", text, "Give it back to the bot.")


def _confirms(message: Message) -> bool:
    return message.extra.get("announces") == "stopped"


def _stopped(message: Message, facts: Facts, now: datetime) -> Refused | None:
    service = facts.consents.get(SERVICE)
    if service is None or service.state != "withdrawn" or _confirms(message):
        return None
    wrote_since = facts.last_in is not None and facts.last_in > service.at
    if message.author == "agent" and message.purpose == SERVICE and wrote_since and not message.campaign:
        return None  # they asked a person something after they had stopped the rest
    return Refused(
        "stopped",
        "The customer asked not to be written to.",
        "Wait until they write again: START, or /start, takes it back; a person may answer what they write.",
    )


def _blocked(message: Message, facts: Facts, now: datetime) -> Refused | None:
    if not facts.blocked:
        return None
    return Refused(
        "blocked",
        "The customer has blocked this account or left.",
        "They can be written to when they write again.",
    )


def _template(message: Message, facts: Facts, now: datetime) -> Refused | None:
    if not isinstance(message.content, Template):
        return None
    template, name = facts.template, message.content.name
    if template is None:
        return Refused(
            "template_unknown",
            f"Template {name} ({message.content.language}) is not known here.",
            "`template sync` reads the provider's; `template list` shows what there is.",
        )
    if template.usable:
        return None
    state = template.state.replace("_", " ").lower()
    if template.state in ("PAUSED", "LIMIT_EXCEEDED", "PENDING", "IN_APPEAL", "LOCKED"):
        return Refused(
            "template_paused",
            f"The provider has template {name} as {state}.",
            "Wait until it is approved again, or send another template; it is tried again by itself.",
            hold=True,
            until=now + AGAIN,
        )
    return Refused(
        "template_disabled",
        f"The provider has template {name} as {state}.",
        "Mend it and submit it again, or send another template.",
    )


def _consent(message: Message, facts: Facts, now: datetime) -> Refused | None:
    purpose = purpose_of(message, facts.template)
    if purpose == SERVICE or _confirms(message):
        return None
    standing = facts.consents.get(purpose)
    if standing is not None and standing.state == "granted":
        return _refused_since(standing, facts) if purpose != MARKETING else None
    if purpose != message.purpose:
        return Refused(
            "category",
            f"The provider counts this template as marketing, and the customer has not agreed to {purpose}.",
            "Ask for their consent, or send a template that is no marketing.",
        )
    if standing is None:
        return Refused(
            "no_consent",
            f"The customer has not agreed to {purpose} messages.",
            "Record their consent with its proof (`consent grant`), or ask them for it.",
        )
    if standing.state == "asked":
        return Refused(
            "unconfirmed",
            f"The customer has not confirmed yet that they want {purpose} messages.",
            "They were asked: it is theirs to press the button.",
        )
    return Refused(
        "withdrawn",
        f"The customer has taken back their consent to {purpose} messages.",
        "They can give it again themselves; nobody can for them.",
    )


def _refused_since(standing: Standing, facts: Facts) -> Refused | None:
    """With the provider they refused all that it counts as marketing, whatever the tenant calls it, after they had agreed."""
    marketing = facts.consents.get(MARKETING)
    counts = facts.template is not None and facts.template.category == "MARKETING"
    if marketing is None or not counts or (marketing.state, marketing.how) != ("withdrawn", "provider"):
        return None
    if marketing.order < standing.order:
        return None
    return Refused(
        "withdrawn",
        "The provider counts this template as marketing, and the customer has told it that they want none.",
        "They can agree again themselves; nobody can for them.",
    )


def _channel(message: Message, facts: Facts, now: datetime) -> Refused | None:
    if facts.channel_active:
        return None
    return Refused(
        "channel_disabled",
        "The channel is disabled.",
        "Mend its settings with `channel check`, then enable it: it is sent then.",
        hold=True,
    )


def _open(facts: Facts, now: datetime) -> bool:
    return facts.window_until is not None and now < facts.window_until


def _window(message: Message, facts: Facts, now: datetime) -> Refused | None:
    if not facts.windowed or isinstance(message.content, Template) or _open(facts, now):
        return None
    return Refused(
        "window_closed",
        "The service window is closed: the customer's last message is too long ago for free text.",
        "Send a template; what is held is sent when they write again.",
        hold=True,
    )


def _quality(message: Message, facts: Facts, now: datetime) -> Refused | None:
    if facts.quality != "RED" or purpose_of(message, facts.template) in (SERVICE, UTILITY):
        return None
    return Refused(
        "quality",
        "The provider rates the number's quality as low: more of the same would end in its suspension.",
        "Send fewer messages, to those who want them; it is tried again when the rating is better.",
        hold=True,
        until=now + AGAIN,
    )


def _quota(message: Message, facts: Facts, now: datetime) -> Refused | None:
    if facts.left is None or facts.left > 0 or not begins(message, facts, now):
        return None
    return Refused(
        "quota",
        "The channel has begun as many conversations as it may in 24 hours.",
        "It is sent when there is room again. `channel check` shows the provider's limit, `tenant permission` the own one.",
        hold=True,
        until=facts.left_again or now + AGAIN,
    )


def _quiet(message: Message, facts: Facts, now: datetime) -> Refused | None:
    if facts.quiet is None or purpose_of(message, facts.template) in (SERVICE, UTILITY):
        return None
    until = next_allowed(facts.quiet, facts.zones, now)
    if until <= now:
        return None
    return Refused(
        "quiet_hours",
        f"It is between {facts.quiet.start:%H:%M} and {facts.quiet.end:%H:%M} where the customer is.",
        "It is sent when their quiet hours are over.",
        hold=True,
        until=until,
    )


def _cap(message: Message, facts: Facts, now: datetime) -> Refused | None:
    if facts.cap is None or purpose_of(message, facts.template) in (SERVICE, UTILITY):
        return None
    recent = [at for at in facts.marketed if at > now - facts.cap.within]
    if len(recent) < facts.cap.most:
        return None
    return Refused(
        "frequency",
        f"The customer has had {len(recent)} such messages within {_span(facts.cap.within)}, which is as many as you allow.",
        "Send it later, or change the limit with `tenant permission`.",
    )


def _span(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours > 24 else f"{hours:g} hours"


RULES: Final = (
    Rule(
        "owner", "A bot's message while a person owns the conversation, or is waited for", "refused", _owner
    ),
    Rule(
        "stopped",
        "The customer withdrew everything (STOP, /stop, a block). A person may answer what they wrote since, and the stop itself"
        " is confirmed once",
        "refused",
        _stopped,
    ),
    Rule("blocked", "The customer blocked the account, or left", "refused", _blocked),
    Rule(
        "template_unknown, template_paused, template_disabled",
        "A template that is not known, or not approved any more",
        "refused; held while the provider has it paused",
        _template,
    ),
    Rule(
        "no_consent, unconfirmed, withdrawn, category",
        "Another purpose than service without a grant. The provider's current category counts, whatever it was when the message"
        " was written",
        "refused",
        _consent,
    ),
    Rule("channel_disabled", "The channel is disabled", "held until it is enabled", _channel),
    Rule(
        "window_closed",
        "Free text while the service window is closed",
        "held until the customer writes",
        _window,
    ),
    Rule(
        "quality",
        "Anything but service and utility while the provider rates the number RED",
        "held until the rating is better",
        _quality,
    ),
    Rule(
        "quota",
        "A message that we begin, when the provider's limit or the tenant's own is used up",
        "held until there is room",
        _quota,
    ),
    Rule(
        "quiet_hours",
        "Anything but service and utility in the contact's quiet hours, in any zone that they may be in",
        "held until they are over",
        _quiet,
    ),
    Rule("frequency", "Anything but service and utility beyond the frequency cap", "refused", _cap),
)

ALLOWED: Final = Allowed()


def _told(message: Message, facts: Facts, now: datetime) -> Mapping[str, Any]:
    """The facts that bear on this message, JSON-ready; what was not asked is left out."""
    told: dict[str, Any] = {"owner": facts.owner, "purpose": purpose_of(message, facts.template)}
    if begins(message, facts, now):
        told["begins"] = True
    if not facts.channel_active:
        told["channel"] = "disabled"
    if facts.blocked:
        told["blocked"] = True
    if facts.windowed:
        told["window_until"] = _time(facts.window_until)
    for purpose in dict.fromkeys((SERVICE, told["purpose"])):
        if (standing := facts.consents.get(purpose)) is not None:
            known = told.setdefault("consent", {})
            known[purpose] = {"state": standing.state, "at": _time(standing.at), "entry": standing.entry}
    if isinstance(message.content, Template):
        t = facts.template
        told["template"] = {"state": t.state, "category": t.category} if t else None
    if told["purpose"] != SERVICE:
        if facts.quiet is not None:
            told["zones"] = list(facts.zones)
        if facts.marketed:
            told["marketed"] = [_time(at) for at in facts.marketed]
        if facts.quality:
            told["quality"] = facts.quality
    if facts.left is not None:
        told["left"] = facts.left
    return told


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
