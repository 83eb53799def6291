"""What the lead flow remembers of a conversation, and what it makes of it. Plain values, no decisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, get_args

from gateway.model.content import Content
from gateway.model.tenant import Site

Stage = Literal["idle", "offered", "form", "asking", "done", "declined", "gave_up"]
_STAGES: Final = frozenset(get_args(Stage))


@dataclass(frozen=True, slots=True)
class LeadState:
    """Where the flow stands.

    `asked` is the field that a question is out for: `name`, `phone`, `email` or `x:` and an extra field's
    name. `values` holds what was given, under the same names; a skipped one is "". `tries` counts answers
    that did not pass, `offers` how often details were offered to be taken. `consent_at` is ISO 8601.
    """

    stage: Stage = "idle"
    asked: str | None = None
    tries: int = 0
    offers: int = 0
    question: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    consent_text: str = ""
    consent_at: str | None = None
    marketing_text: str = ""
    """The wording of the marketing box that the form was shown with."""

    def to_doc(self) -> dict[str, Any]:
        """For `Conversation.lead`: plain values, without what is at its default."""
        doc: dict[str, Any] = {
            "stage": self.stage,
            "asked": self.asked,
            "tries": self.tries,
            "offers": self.offers,
            "question": self.question,
            # A list of pairs: a field's name may hold what a document's key may not.
            "values": [[name, value] for name, value in self.values.items()],
            "consent_text": self.consent_text,
            "consent_at": self.consent_at,
            "marketing_text": self.marketing_text,
        }
        return {name: value for name, value in doc.items() if value} if self != LeadState() else {}

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any] | None) -> "LeadState":
        """What `to_doc` wrote. A document that nobody wrote like this starts the flow anew."""
        if not doc or doc.get("stage") not in _STAGES:
            return cls()
        return cls(
            stage=doc["stage"],
            asked=doc.get("asked"),
            tries=int(doc.get("tries", 0)),
            offers=int(doc.get("offers", 0)),
            question=doc.get("question"),
            values={str(name): str(value) for name, value in doc.get("values", ())},
            consent_text=str(doc.get("consent_text", "")),
            consent_at=doc.get("consent_at"),
            marketing_text=str(doc.get("marketing_text", "")),
        )


@dataclass(frozen=True, slots=True)
class Context:
    """What the flow needs to know of the moment.

    `forms`: the channel shows forms. `known_phone` and `known_name` are what the channel told of the
    customer. `region` is assumed for phones without a prefix where the site names none. `now` is aware, UTC.
    """

    now: datetime
    site: Site = field(default_factory=Site)
    language: str | None = None
    forms: bool = False
    known_phone: str | None = None
    known_name: str | None = None
    region: str | None = None

    @property
    def phone_region(self) -> str | None:
        return self.site.region or self.region


@dataclass(frozen=True, slots=True)
class LeadDraft:
    """A lead to be saved, over an earlier one of the same conversation. `phone` is E.164."""

    name: str
    phone: str
    phone_kind: str
    phone_region: str | None
    email: str | None
    fields: Mapping[str, str]
    question: str | None
    consent_text: str
    consent_at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """What one event led to.

    `handled` false: the event was not for the lead flow. Then the brain answers it and `say` follows the
    answer (the open question, once more); if the brain does not know, `offer` is asked with `state` and says
    everything, `say` included.
    """

    state: LeadState
    say: tuple[Content, ...] = ()
    save: LeadDraft | None = None
    handled: bool = True
    consented: str | None = None
    """The consent line under which the details were sent just now."""
    marketing: str | None = None
    """The wording of the marketing box that was ticked just now."""
