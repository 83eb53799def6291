"""Answers: what is asked of the brain, what it says, and how a tenant wants it done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Literal, Protocol

from gateway.model.content import Source

ProviderName = Literal["auto", "local", "cohere", "openai"]

Thumb = Literal["up", "down"]

MAX_SAID = 500
"""Characters of each earlier message that are kept for what follows on it."""

MOST_SAID = 6


@dataclass(frozen=True, slots=True)
class Said:
    """What was said before in the conversation: at most MAX_SAID characters."""

    who: Literal["customer", "bot"]
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a day that the business is open: local times, `end` after `start` (24:00 is `time.max`)."""

    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Hours:
    """When the business is open, in its own time zone. `week` has seven entries, Monday first; `closed` are dates
    (ISO 8601) on which it is not, whatever the week says."""

    timezone: str
    week: tuple[tuple[Span, ...], ...]
    closed: tuple[str, ...] = ()


FieldKind = Literal["text", "email", "phone", "number", "date", "choice"]


@dataclass(frozen=True, slots=True)
class Ask:
    """A field of a form: what is asked for, and what is taken. `least` and `most` bound a number."""

    name: str
    question: str
    kind: FieldKind = "text"
    required: bool = True
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class FormRule:
    """A small form of the tenant's own: its fields are asked for one after the other. `done` is said at the end;
    with `hand_over` a person takes over then."""

    name: str
    fields: tuple[Ask, ...]
    done: str
    hand_over: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A keyword answer: `pattern` is matched against the whole message, ignoring case, accents and punctuation at its
    ends; with `regex` it is searched for anywhere.

    `choices` are shown as buttons or a list under the answer, and mean what they say as if it was typed. `form` names the
    form that begins then. `when`: only while the business is open, or closed. `hand_over`: a person takes over.
    """

    pattern: str
    answer: str
    regex: bool = False
    choices: tuple[str, ...] = ()
    form: str | None = None
    when: Literal["always", "open", "closed"] = "always"
    hand_over: bool = False


@dataclass(frozen=True, slots=True)
class Caps:
    """What may be spent on providers in a day (UTC); None: no bound. Money is in millionths of `currency`."""

    conversation_tokens: int | None = 60_000
    contact_tokens: int | None = 120_000
    tenant_tokens: int | None = 5_000_000
    conversation_money: int | None = None
    contact_money: int | None = None
    tenant_money: int | None = None


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """How a tenant's bot answers. No secret: the provider's key is `Tenant.secrets["answers"]`.

    `provider` "auto" is Cohere where there is a key for it, else local. `model`, `smaller` and `address` (of an
    OpenAI-compatible endpoint, up to `/v1`) are the provider's; None is its default. `smaller` is asked where `model`
    fails. `languages`: those to answer in, the first one where the customer's is not among them; none: the customer's
    own. `forbidden`: topics that are never answered. `instructions`: the tenant's own words on tone and manner.
    `hand_over`: what follows "I don't know": details are asked for (`offer`), a person takes over (`queue`), or nothing.
    `links`: hosts that answers may link to besides those of the documents. `threshold` (0 to 1): the least support;
    None is the calibrated one. `prices`: millionths of USD per 1,000 tokens in and out, by model.
    """

    provider: ProviderName = "auto"
    model: str | None = None
    smaller: str | None = None
    address: str | None = None
    tone: Literal["neutral", "friendly", "formal"] = "friendly"
    length: Literal["short", "medium", "long"] = "short"
    languages: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    greeting: str | None = None
    instructions: str = ""
    hand_over: Literal["offer", "queue", "nothing"] = "offer"
    links: tuple[str, ...] = ()
    threshold: float | None = None
    cache: bool = True
    stream: bool = True
    holding: bool = True
    """Whether somebody who waits for four seconds is told that the answer is coming."""
    hours: Hours | None = None
    forms: tuple[FormRule, ...] = ()
    caps: Caps = field(default_factory=Caps)
    prices: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """What to answer. `text` is the customer's own words; `language` a BCP 47 tag if it is known; `earlier` what was said
    before, the latest last. `channel`, `contact` and `conversation` are ids: for the collections and the caps. `version`
    is that of the tenant's knowledge, `rev` that of the tenant itself."""

    tenant: str
    text: str
    rules: tuple[Rule, ...] = ()
    version: int = 0
    language: str | None = None
    channel: str | None = None
    contact: str | None = None
    conversation: str | None = None
    earlier: tuple[Said, ...] = ()
    settings: AnswerSettings = field(default_factory=AnswerSettings)
    business: str = ""
    rev: int = 0
    at: datetime | None = None
    draft: bool = False
    """Ask the knowledge as it would be after publishing."""
    links: tuple[str, ...] = ()
    """Hosts of the channel's own that may be linked to."""


@dataclass(frozen=True, slots=True)
class Cited:
    """The part of an answer's text from `start` to `end` (characters) that rests on `sources`: places in
    `Answer.sources`."""

    start: int
    end: int
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Used:
    """What an answer cost: tokens and millionths of USD, over all calls made for it."""

    tokens_in: int = 0
    tokens_out: int = 0
    money: int = 0

    def __add__(self, other: "Used") -> "Used":
        return Used(
            self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out, self.money + other.money
        )

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out


@dataclass(frozen=True, slots=True)
class Answer:
    """`known` is false when no passage supports an answer; then `text` is empty.

    `score` is the support, 0 to 1. `why` says in a word why there is no answer, or not the one wanted: `support`, `forbidden`,
    `language`, `guard`, `cap`, `provider`, `empty`. `failed`: codes of providers that were asked in vain.
    """

    known: bool
    text: str = ""
    sources: tuple[Source, ...] = ()
    score: float = 0.0
    by: str = ""
    """`rule`, `local`, or the name of a provider."""
    opt_out: bool = False
    """The customer seems to want no more messages: they are asked, and only their button counts."""
    cited: tuple[Cited, ...] = ()
    choices: tuple[str, ...] = ()
    form: str | None = None
    hand_over: bool = False
    why: str = ""
    failed: tuple[str, ...] = ()
    used: Used = field(default_factory=Used)
    cached: bool = False
    asked: str = ""
    """The question as it was searched for, if that is not the text itself: rewritten from the conversation."""


class Listener(Protocol):
    """Who wants to see an answer while it is being written."""

    async def said(self, text: str) -> None:
        """The answer so far: whole sentences that may be shown. It grows from call to call, or is "" when what was
        shown does not hold any more."""


class Brain(Protocol):
    async def answer(self, question: Question, listener: Listener | None = None) -> Answer:
        """Answer from the tenant's rules and documents. Never raises for a bad question or a provider's fault."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was asked and what became of it: kept for 90 days, to learn from. `id` is that of the message that
    asked. `seconds` is how long the answer took."""

    id: str
    tenant: str
    at: datetime
    question: str
    channel: str
    contact: str
    conversation: str
    known: bool
    text: str = ""
    by: str = ""
    why: str = ""
    score: float = 0.0
    sources: tuple[Source, ...] = ()
    version: int = 0
    language: str | None = None
    seconds: float = 0.0
    used: Used = field(default_factory=Used)
    thumb: Thumb | None = None
    agent_thumb: Thumb | None = None
    earlier: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions without an answer that mean the same. `examples` are the latest wordings, at most ten, without phone numbers and
    addresses."""

    id: str
    tenant: str
    question: str
    count: int
    first: datetime
    last: datetime
    language: str | None = None
    examples: tuple[str, ...] = ()
    state: Literal["open", "answered", "dismissed"] = "open"
    document: str | None = None
    """The document with the answer that was given to it."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody filled in: a form's values in the order of its fields, as `Ask.kind` checks them (a phone is E.164, a date
    ISO 8601); "" for one that was skipped."""

    id: str
    tenant: str
    form: str
    at: datetime
    channel: str
    contact: str
    conversation: str
    values: tuple[tuple[str, str], ...]
