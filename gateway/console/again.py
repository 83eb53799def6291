"""Writing again from the console: how long free text may be sent, why something was held, and the form with a template."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from channels import registry
from consent.templates import Shown, Variable, preview
from gateway.facts import window_of
from gateway.model.conversation import Conversation
from gateway.model.errors import Invalid
from gateway.model.message import Message, Status
from gateway.model.tenant import Channel
from gateway.reopen import Offer

VALUE = "value."
LONGEST = 2000


@dataclass(frozen=True, slots=True)
class WindowShown:
    open: bool
    text: str


def window_shown(channel: Channel, conversation: Conversation, now: datetime) -> WindowShown | None:
    """The countdown; None on a channel without a service window."""
    hours = registry.CAPABILITIES[channel.kind].service_window_hours
    if hours is None:
        return None
    until = window_of(conversation, hours)
    if until is None:
        return WindowShown(False, "Closed: the customer has not written yet; only a template may be sent.")
    if until <= now:
        return WindowShown(False, f"Closed since {_moment(until, now)}: only a template may be sent.")
    return WindowShown(True, f"Free text until {_moment(until, now)}, {_left(until, now)} left.")


def _moment(at: datetime, now: datetime) -> str:
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M} UTC"


def _left(until: datetime, now: datetime) -> str:
    minutes = int((until - now).total_seconds()) // 60
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message was not sent, in plain words, with what to do; `until`: when it is asked again."""

    held: bool
    text: str
    remedy: str
    code: str
    until: datetime | None = None


def refusal(message: Message) -> Refusal | None:
    """What permission, or the provider, said of a message that was not sent."""
    if message.direction != "out" or message.failure is None:
        return None
    held, said = message.status is Status.HELD, message.failure
    last = next((d for d in message.decided if d.stage == "sent" and not d.allowed), None)
    if last is not None and said.code == f"permission:{last.reason}":
        return Refusal(held, last.text, last.remedy, said.code, last.until if held else None)
    return Refusal(held, said.text, "", said.code)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form was sent with: the chosen template's id, its values, and what was wrong with them."""

    template: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    wrong: str = ""

    @classmethod
    def of(cls, form: Mapping[str, str]) -> "Asked":
        values = {k.removeprefix(VALUE): v[:LONGEST] for k, v in form.items() if k.startswith(VALUE)}
        return cls(form.get("template", "")[:100], values, form.get("key", "")[:128])


@dataclass(frozen=True, slots=True)
class Input:
    """One variable's field."""

    name: str
    label: str
    hint: str
    value: str


@dataclass(frozen=True, slots=True)
class TemplateForm:
    """The templates to choose from, and the chosen one with its fields and how it looks. `key` makes sending it twice one
    message."""

    offers: Sequence[Offer]
    chosen: Offer | None
    inputs: Sequence[Input]
    shown: Shown | None
    wrong: str
    key: str

    @classmethod
    def of(cls, offers: Sequence[Offer], asked: Asked) -> "TemplateForm":
        chosen = next((o for o in offers if o.template.id == asked.template), None)
        wrong, shown, inputs = asked.wrong, None, list[Input]()
        if chosen is not None:
            values = {**chosen.values, **asked.values}
            wanted = [v for v in chosen.variables if v.required]
            inputs = [Input(VALUE + v.key, _label(v), v.example, values.get(v.key, "")) for v in wanted]
            given = {v.key: values.get(v.key, "").strip() or v.shown for v in wanted}
            try:
                shown = preview(chosen.template, given)
            except Invalid as error:
                shown, wrong = chosen.shown, wrong or str(error)
        return cls(offers, chosen, inputs, shown, wrong, asked.key or secrets.token_urlsafe(12))


def _label(v: Variable) -> str:
    what = v.shown.strip("{}")
    kinds = {"image": "Picture", "video": "Film", "document": "Document", "location": "Place", "code": "Code"}
    if v.kind in kinds:
        return f"{kinds[v.kind]} for {v.where}"
    if v.kind == "url":
        return f"End of the address of {v.where}"
    return f"{'Variable ' + what if what.isdecimal() else what.replace('_', ' ').capitalize()} in {v.where}"
