"""The ports: what the core asks of the outside, and the contract of a channel.

Everything here is a Protocol or a plain value. The store, the channels and the brain implement them; the
core is given them by `gateway.bootstrap`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from gateway.model.capabilities import Capabilities
from gateway.model.content import Content
from gateway.model.conversation import Conversation
from gateway.model.identity import Identity
from gateway.model.lanes import Rates
from gateway.model.message import Message, Receipt
from gateway.model.template import TemplateChange
from gateway.model.tenant import Channel, ChannelKind

Clock = Callable[[], datetime]
"""Now: aware, UTC."""


# Channels ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One message as a channel's parser reads it, before it belongs to a conversation.

    `provider_id` makes it unique within the channel. `identity` is the customer; `address` is what to send
    an answer to. `place` is a group or a thread where several people speak and which is one conversation, whoever
    speaks. `aliases` are other identities of the same customer (or, with a place, of the place) named by the same payload.
    `silent` is stored and shown but starts no answer (a reaction, a system note). Parts of one `album` are stored as one message.
    `author` "agent": a person of the business said it, in the provider's own app. `past`: it was said before the
    channel was connected to us, and changes nothing but the record. `known_only`: it is ours only if its place is a
    conversation already; else it is somebody else's talk, and is dropped. `extra` is what else the provider told, JSON-ready:
    `forwarded` (true), `referral` (the ad or link that led here), `start` (a deep link's payload), `callback` (what has to
    be acknowledged), `topic`, `thread`, `group` (names of places).
    """

    provider_id: str
    identity: Identity
    address: str
    at: datetime
    content: Content
    name: str | None = None
    phone: str | None = None
    place: Identity | None = None
    aliases: tuple[Identity, ...] = ()
    reply_to: str | None = None
    language: str | None = None
    silent: bool = False
    album: str | None = None
    author: Literal["customer", "agent"] = "customer"
    past: bool = False
    known_only: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountTold:
    """What a provider told of an account. `limit`: with how many people it may begin in 24 hours; `unlimited`: there is none.
    `quality`: `GREEN`, `YELLOW`, `RED`. What is None was not told; `look`: it is to be asked for."""

    limit: int | None = None
    unlimited: bool = False
    quality: str | None = None
    look: bool = False


@dataclass(frozen=True, slots=True)
class ChannelEvent:
    """Something about the account itself: a template was paused, the number's quality fell, the app was removed.

    `id` makes it unique within the channel. `text` is a sentence for the owner. `disable` ends the channel: its
    credentials are gone. `template`: what it says of a template; `account`: of what the account may do.
    """

    id: str
    name: str
    at: datetime
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    warning: bool = False
    disable: bool = False
    template: TemplateChange | None = None
    account: AccountTold | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """Everything one request body holds for one channel, in its order.

    `ignored` names what is known and deliberately without effect, for the log. `answer` is a JSON text that the
    provider wants as the body of our 200.
    """

    messages: tuple[InboundMessage, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    events: tuple[ChannelEvent, ...] = ()
    ignored: tuple[str, ...] = ()
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for one recipient, already degraded to what the channel can show.

    `id` is our own, to be echoed by the provider where it can. `reply_to`, and the `to` of a Reaction, an Edit or a
    Deleted, is the provider's id of the message meant. `seq` and `at` are the message's place and time in the
    conversation.
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


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file of our own store. `read` gives its bytes in parts of at most 256 kB, from the start each time."""

    id: str
    name: str
    mime: str
    size: int
    read: Callable[[], AsyncIterator[bytes]]


class Files(Protocol):
    """A tenant's stored files, as an adapter needs them to send one."""

    async def open(self, tenant: str, file: str) -> OpenFile:
        """Raises NotFound, and SendError(retryable) while it is still being fetched."""

    async def uploaded(self, tenant: str, file: str, channel: str) -> str | None:
        """The provider's id of a file that was uploaded to this channel before and is still good."""

    async def remember(self, tenant: str, file: str, channel: str, provider_id: str, until: datetime) -> None:
        """Keep the provider's id of an uploaded file."""


@dataclass(frozen=True, slots=True)
class Download:
    """A provider's file on its way to us. `mime`, `size` and `name` are what the provider says, if it does."""

    chunks: AsyncIterator[bytes]
    mime: str = ""
    size: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What a person has to give to connect an account: an option of `channel add KIND` and `channel set`.

    `name` as in Python; a secret is sealed and never shown. `made` makes a value where none was given. A `flag` is
    an option without a value ("true" in the config).
    """

    name: str
    help: str
    secret: bool = False
    required: bool = True
    flag: bool = False
    made: Callable[[], str] | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """An account that can be connected: what the provider calls it, what to keep, and what is left for the person."""

    account: str
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check. `ok` None: could not be told. `fix` says what to do, exactly."""

    name: str
    ok: bool | None
    text: str
    fix: str = ""


Keep = Callable[[Channel, Mapping[str, str], Mapping[str, Any]], Awaitable[None]]
"""Write changed secrets and config of a channel (a rotated token)."""


Claim = Callable[[str, datetime], Awaitable[bool]]
"""Whether this process is the first of all to take a name, until the time given."""

FileLink = Callable[[str, str, Literal["file", "thumbnail"]], str]
"""A path on our own host for a tenant's file that holds for some hours, for whoever has it."""


class Adapter(Protocol):
    """A channel kind. Pure but for what talks to the provider; knows nothing of the server or the store."""

    kind: ChannelKind
    capabilities: Capabilities
    settings: tuple[Setting, ...]

    async def send(self, channel: Channel, message: Outgoing) -> Sent:
        """Hand one message to the provider. Raises SendError, and nothing else for a provider's fault."""

    def rates(self, channel: Channel, address: str) -> Rates:
        """How fast the provider lets this account send, and to this address."""

    async def mark_read(self, channel: Channel, message: Message, address: str, typing: bool) -> None:
        """Show the customer that their message was seen (and that an answer is coming), and acknowledge a pressed button
        where the provider wants that. Best effort: SendError at the worst."""


@runtime_checkable
class ShowsDrafts(Protocol):
    """A channel that can show an answer while it is being written. What it shows is kept nowhere; the message that is sent in
    the end takes its place."""

    def shows_drafts(self, address: str) -> bool:
        """Whether there is a way to show them at this address."""

    async def show_draft(
        self, channel: Channel, conversation: Conversation, turn: Message, text: str
    ) -> None:
        """Show the answer to `turn` as far as it is written, in place of what was shown of it before; "" takes that back. Best
        effort, and as often as the channel likes: SendError at the worst."""


class WebhookAdapter(Adapter, Protocol):
    """A channel whose provider calls us over HTTP."""

    signature_header: str
    """The header without which a body is refused unread."""

    signing_secret: str
    """The name of the secret that a body is verified with."""

    paths: tuple[str, ...]
    """Where it is called, under `/webhooks/<kind>`: with `{channel}`, or app-wide."""

    def accounts(self, body: bytes) -> Sequence[str]:
        """Accounts that an authentic app-wide body speaks of; `<name>:<id>` means every channel whose config has that
        `<name>_id`. Raises NotForUs."""

    def greeting(self, body: bytes) -> str | None:
        """What to answer an authentic app-wide body that only asks whether we are here; None for any other."""

    def verify(self, secret: str, headers: Mapping[str, str], body: bytes) -> None:
        """Check the signature over the raw bytes, in constant time. Raises NotAuthentic. Header names are
        lower-case. An empty secret never verifies."""

    def parse(self, channel: Channel, body: bytes) -> Parsed:
        """Read an authentic body. Raises NotForUs when it is not this provider's. What is not modelled
        becomes Unsupported. Entries for other accounts are left out."""

    def challenge(self, verify_token: str, query: Mapping[str, str]) -> str:
        """The answer to the provider's verification request. Raises NotAuthentic."""

    async def account(self, channel: Channel) -> str:
        """Whose the draft's settings are: the account that `connect` will name. May ask the provider, and changes nothing
        there. Raises Invalid (named after the setting) and SendError."""

    async def connect(self, channel: Channel, webhook: str) -> Connected:
        """Make the account ready to use. `channel` is a draft: its config and secrets are what the person gave;
        `webhook` is the address that the provider is to call. Raises Invalid (named after the setting) and SendError.
        Calling it again mends what the provider has forgotten."""

    async def check(self, channel: Channel, webhook: str) -> Sequence[Finding]:
        """The doctor: ask the provider about everything that can be wrong. Never raises for a provider's answer."""

    def fetch(self, channel: Channel, media_id: str) -> AbstractAsyncContextManager[Download]:
        """A file that a customer sent, from the provider's own hosts only. Entering and reading raise SendError;
        `retryable` false means that it is gone for good."""


Take = Callable[[bytes], Awaitable[str | None]]
"""Take one body as if it had come as a verified webhook; returns the answer that the provider wants. Raises
Unavailable when it could not be stored: then it must not be confirmed to the provider."""


class Puller(Protocol):
    """An adapter that can also fetch what is new itself, for a machine without a public address."""

    @property
    def pulls_app(self) -> bool:
        """Whether the operator's app is to be read, for all its accounts at once."""

    async def pull_app(self, take: Take) -> None:
        """As `pull`, for the app: `take` finds the channels that a body speaks of."""

    def pulls(self, channel: Channel) -> bool:
        """Whether this channel is to be read this way."""

    async def pull(self, channel: Channel, take: Take) -> None:
        """Read until cancelled. Confirms to the provider only what `take` has taken. Raises SendError when the
        provider refuses; it is called again then, after a pause."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A template as the provider took it. The category may be another than was asked for."""

    remote: str
    state: str
    category: str


class TemplateAdapter(Protocol):
    """A channel whose provider keeps templates. Every call raises SendError."""

    def business(self, channel: Channel) -> str:
        """The provider's business account that the channel's templates belong to."""

    def rows(self, channel: Channel) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """All templates, a page at a time, as the provider tells them. It ends after the last page, and never in between."""

    async def create(self, channel: Channel, definition: Mapping[str, Any]) -> Submitted:
        """Submit a new one."""

    async def edit(self, channel: Channel, remote: str, definition: Mapping[str, Any]) -> None:
        """Submit a change of one."""

    async def delete(self, channel: Channel, name: str, remote: str | None) -> None:
        """Delete one, by its id and name, or without the id its name in every language."""

    async def sample(self, channel: Channel, file: str) -> str:
        """Upload one of our files as the sample of a media header: the provider's handle."""

    async def standing(self, channel: Channel) -> AccountTold:
        """What the account may do now."""
