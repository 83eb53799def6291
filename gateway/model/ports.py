"""The ports: what the core asks of the outside, and the contract of a channel.

Everything here is a Protocol or a plain value. The store, the channels and the brain implement them; the
core is given them by `gateway.bootstrap`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.model.capabilities import Capabilities
from gateway.model.content import Content, Source
from gateway.model.conversation import Conversation, Identity
from gateway.model.message import Message, Receipt
from gateway.model.tenant import Channel, ChannelKind, Rule

Clock = Callable[[], datetime]
"""Now: aware, UTC."""


# Channels ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One message as a channel's parser reads it, before it belongs to a conversation.

    `provider_id` makes it unique within the channel. `identity` is the sender; `address` is what to send
    an answer to. `aliases` are other identities of the same person named by the same payload. `silent` is
    stored and shown but starts no answer (a reaction, a system note).
    """

    provider_id: str
    identity: Identity
    address: str
    at: datetime
    content: Content
    name: str | None = None
    phone: str | None = None
    aliases: tuple[Identity, ...] = ()
    reply_to: str | None = None
    language: str | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    """Everything one request body holds for one channel, in its order.

    `ignored` names what is known and deliberately without effect, for the log.
    """

    messages: tuple[InboundMessage, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for one recipient, already degraded to what the channel can show.

    `id` is our own, to be echoed by the provider where it can. `reply_to` is the provider's id of the
    message that this one quotes. `seq` and `at` are the message's place and time in the conversation.
    """

    id: str
    conversation: str
    address: str
    content: Content
    seq: int
    at: datetime
    author: str = "bot"
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider's acceptance and its id for the message."""

    provider_id: str


class Adapter(Protocol):
    """A channel kind. Pure but for `send` and `mark_read`; knows nothing of the server or the store."""

    kind: ChannelKind
    capabilities: Capabilities
    secret_names: tuple[str, ...]
    """Secrets without which a channel of this kind can't be activated."""

    async def send(self, channel: Channel, message: Outgoing) -> Sent:
        """Hand one message to the provider. Raises SendError, and nothing else for a provider's fault."""

    async def mark_read(self, channel: Channel, conversation: str, provider_id: str, typing: bool) -> None:
        """Show the customer that their message was seen (and that an answer is coming). Best effort: SendError
        at the worst."""


class WebhookAdapter(Adapter, Protocol):
    """A channel whose provider calls us over HTTP."""

    signature_header: str
    """The header without which a body is refused unread."""

    def accounts(self, body: bytes) -> Sequence[str]:
        """Accounts that an authentic app-wide body speaks of. Raises NotForUs."""

    def verify(self, secret: str, headers: Mapping[str, str], body: bytes) -> None:
        """Check the signature over the raw bytes, in constant time. Raises NotAuthentic. Header names are
        lower-case. An empty secret never verifies."""

    def parse(self, channel: Channel, body: bytes) -> Parsed:
        """Read an authentic body. Raises NotForUs when it is not this provider's. What is not modelled
        becomes Unsupported. Entries for other accounts are left out."""

    def challenge(self, verify_token: str, query: Mapping[str, str]) -> str:
        """The answer to the provider's verification request. Raises NotAuthentic."""

    async def check(self, channel: Channel) -> str:
        """Ask the provider whether the channel's settings work: the account as it calls it. Raises SendError."""


# Brain ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """What to answer. `text` is the customer's own words; `language` a BCP 47 tag if it is known."""

    tenant: str
    text: str
    rules: tuple[Rule, ...] = ()
    version: int = 0
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`known` is false when no passage supports an answer; then `text` is empty."""

    known: bool
    text: str = ""
    sources: tuple[Source, ...] = ()
    score: float = 0.0
    by: str = ""
    """`rule`, `local`, or the name of a provider."""


class Brain(Protocol):
    async def answer(self, question: Question) -> Answer:
        """Answer from the tenant's rules and documents. Never raises for a bad question."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage. `headings` is the path of headings above it; `vector` is float16 bytes, normalised."""

    id: str
    document: str
    position: int
    text: str
    headings: tuple[str, ...] = ()
    page: int | None = None
    vector: bytes = b""
    question: str | None = None
    """For a question-and-answer pair: the question; `text` is then the answer."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file of the tenant's knowledge. `checksum` is SHA-256 of its bytes; `origin` its path or address."""

    id: str
    tenant: str
    title: str
    origin: str
    checksum: str
    chunks: int
    added: datetime
    url: str | None = None
    media_type: str = "text/plain"


class KnowledgeStore(Protocol):
    """A tenant's documents and passages. Implemented by gateway.store; every call is for one tenant."""

    async def documents(self, tenant: str) -> list[Document]:
        """All documents, by title."""

    async def put(self, tenant: str, document: Document, chunks: Sequence[Chunk]) -> None:
        """Write a document with its passages in place of an earlier one with the same id, and raise the
        tenant's knowledge version."""

    async def remove(self, tenant: str, document: str) -> bool:
        """Remove a document and its passages; whether it was there."""

    async def chunks(self, tenant: str) -> list[Chunk]:
        """All passages of all documents, in the order of document and position."""


# Delivery ------------------------------------------------------------------------------------------------


class Delivery(Protocol):
    """The edge out, as a turn sees it."""

    def may_go(self, channel: Channel, conversation: Conversation, message: Message) -> bool:
        """Whether a message just written may be claimed at once. If so it has a place among those under way, which
        `run` gives back, or `stay` if the claim did not hold."""

    def stay(self, channel: Channel) -> None:
        """Give the place back: the message is not sent now."""

    def lease(self) -> datetime:
        """Until when a claim made now holds."""

    async def run(
        self,
        channel: Channel,
        conversation: Conversation,
        messages: Sequence[Message],
        claimed: str | None = None,
    ) -> bool:
        """Send what is queued, in order, as far as it may go; whether nothing of it is left waiting."""


# Work ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """What a hint is about: a conversation of a tenant has work."""

    tenant: str
    conversation: str


Handler = Callable[[Key], Awaitable[None]]


class Work(Protocol):
    """The hint queue. A hint may be lost, doubled or late; the sweeper makes it again."""

    def poke(self, key: Key) -> None:
        """Say that there is work. Never blocks, never raises."""

    async def run(self, handler: Handler) -> None:
        """Call the handler for each poked key, one at a time a key, until cancelled."""
