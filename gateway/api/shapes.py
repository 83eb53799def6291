"""What the API gives and takes: one pydantic model a shape, made from the model's values."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from channels import registry
from gateway.model.content import plain_text, to_doc
from gateway.model.conversation import Conversation, Lead
from gateway.model.file import File
from gateway.model.message import Message
from gateway.model.tenant import Channel


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _plausible(moment: datetime) -> datetime:
    """A moment that the store can count from; no message is older or newer."""
    if not 1970 <= moment.year < 9000:
        raise ValueError("a time between the years 1970 and 9000")
    return moment


class PageQuery(Shape):
    """`next` of the last page goes into `before`."""

    limit: Annotated[int, Field(ge=1, le=200, description="How many at most")] = 50
    before: Annotated[
        Annotated[AwareDatetime, AfterValidator(_plausible)] | None,
        Field(description="Only what is older than this (ISO 8601, with a zone)"),
    ] = None


class MessageQuery(Shape):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: Annotated[int | None, Field(ge=0, le=2**53, description="Only messages before this `seq`")] = None


class LimitQuery(Shape):
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class WindowShape(Shape):
    """Until when free text may be sent; on a channel without a service window there is none."""

    open: bool
    closes_at: Annotated[
        datetime | None, Field(description="When it closes, or closed; null: the customer never wrote")
    ]
    seconds_left: int

    @classmethod
    def of(cls, until: datetime | None, now: datetime) -> "WindowShape":
        left = max(0, int((until - now).total_seconds())) if until else 0
        return cls(open=until is not None and now < until, closes_at=until, seconds_left=left)


class ConsentShape(Shape):
    state: str
    at: datetime
    how: str


class ConversationShape(Shape):
    id: str
    channel: str
    contact: str
    name: str | None
    owner: Literal["bot", "queue", "agent"]
    open: bool
    language: str | None
    preview: str
    created: datetime
    last_at: datetime | None
    blocked: bool
    stopped: bool
    merged_into: str | None
    window: WindowShape | None
    consents: Annotated[
        dict[str, ConsentShape], Field(description="What holds, by purpose; `consent` shows the entries")
    ]

    @classmethod
    def of(cls, c: Conversation, window: WindowShape | None) -> "ConversationShape":
        made = ("window", "consents")
        consents = {p: ConsentShape(state=s.state, at=s.at, how=s.how) for p, s in c.consents.items()}
        same = {f: getattr(c, f) for f in cls.model_fields if f not in made}
        return cls(**same, window=window, consents=consents)


class ConversationPage(Shape):
    items: list[ConversationShape]
    next: datetime | None = None


class FailureShape(Shape):
    code: str
    text: str


class TemplateSending(Shape):
    """A template: what is not given of its variables is filled in from contact, lead and conversation."""

    name: Annotated[str, Field(max_length=512)]
    language: Annotated[str | None, Field(max_length=16)] = None
    values: dict[str, str] = {}


class Sending(Shape):
    """What a person sends: `content`, any kind that the channel can show, or that can be shown with less; or a `template`."""

    content: Annotated[
        dict[str, Any] | None,
        Field(
            description='One kind of content, such as {"type": "text", "text": "Hello"}; see docs/content.md'
        ),
    ] = None
    template: TemplateSending | None = None
    reply_to: Annotated[str | None, Field(max_length=64, description="The message that it quotes")] = None
    key: Annotated[
        str | None,
        Field(
            min_length=1, max_length=128, description="Sent again with the same key, nothing is sent twice"
        ),
    ] = None
    hold: Annotated[
        bool,
        Field(
            description="While the service window is closed: wait until the customer writes, instead of a refusal"
        ),
    ] = False


class UploadQuery(Shape):
    name: Annotated[str, Field(min_length=1, max_length=400, description="The file's name")]


class FileShape(Shape):
    id: str
    state: Literal["pending", "ready", "failed", "uploading"]
    name: str
    mime: str
    size: int
    sha256: str
    width: int | None
    height: int | None
    error: str | None
    created: datetime
    url: Annotated[str | None, Field(description="Where to download it, for an hour")]
    thumbnail: str | None

    @classmethod
    def of(cls, f: File, url: str | None, thumbnail: str | None) -> "FileShape":
        own = {n: getattr(f, n) for n in cls.model_fields if n not in ("url", "thumbnail")}
        return cls(**own, url=url, thumbnail=thumbnail)


class EventShape(Shape):
    name: str
    at: datetime
    text: str
    warning: bool
    data: dict[str, Any]


class EventList(Shape):
    items: list[EventShape]


class MessageShape(Shape):
    id: str
    conversation: str
    channel: str
    direction: Literal["in", "out"]
    author: Literal["customer", "bot", "agent"]
    seq: int
    at: datetime
    status: str
    content: dict[str, Any]
    text: str
    provider_id: str | None
    possibly_doubled: bool
    attempts: int
    failure: FailureShape | None
    reply_to: str | None
    edited: datetime | None
    original: dict[str, Any] | None
    deleted: datetime | None
    extra: dict[str, Any]

    @classmethod
    def of(cls, m: Message) -> "MessageShape":
        same = (
            "id",
            "conversation",
            "channel",
            "direction",
            "author",
            "seq",
            "at",
            "provider_id",
            "attempts",
            "reply_to",
            "edited",
            "deleted",
        )
        return cls(
            **{f: getattr(m, f) for f in same},
            possibly_doubled=m.possibly_doubled,
            extra=dict(m.extra),
            original=to_doc(m.original) if m.original is not None else None,
            status=m.status.label,
            content=to_doc(m.content),
            text=plain_text(m.content),
            failure=FailureShape(code=m.failure.code, text=m.failure.text) if m.failure else None,
        )


class MessageList(Shape):
    items: list[MessageShape]


class MessagePage(Shape):
    items: list[MessageShape]
    more: bool


class DeadPage(Shape):
    items: list[MessageShape]
    next: int | None
    """The cursor of the next page: goes into `before`."""


class LeadShape(Shape):
    id: str
    channel: str
    contact: str
    conversation: str
    name: str
    phone: str
    phone_kind: str
    phone_region: str | None
    email: str | None
    fields: dict[str, str]
    question: str | None
    consent_text: str
    consent_at: datetime | None
    created: datetime
    updated: datetime

    @classmethod
    def of(cls, lead: Lead) -> "LeadShape":
        return cls(**{f: getattr(lead, f) for f in cls.model_fields})


class LeadPage(Shape):
    items: list[LeadShape]
    next: datetime | None = None


class ChannelShape(Shape):
    id: str
    kind: str
    name: str
    account: str
    state: str
    origins: list[str]
    webhook: str | None

    @classmethod
    def of(cls, c: Channel, public_url: str) -> "ChannelShape":
        called = c.kind in registry.PATHS
        webhook = registry.webhook_address(c.kind, public_url, c.id) if called else None
        return cls(
            id=c.id,
            kind=c.kind,
            name=c.name,
            account=c.account,
            state=c.state,
            origins=list(c.origins),
            webhook=webhook,
        )


class ChannelList(Shape):
    items: list[ChannelShape]


class PresenceShape(Shape):
    present: bool
    typing: bool


class OwnerChange(Shape):
    owner: Literal["bot", "queue", "agent"]
