"""What a channel can show, in data; `channels.degrade` says what happens to the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.model.content import MediaKind
from gateway.model.lanes import Rates


@dataclass(frozen=True, slots=True)
class MediaRule:
    """What files of a kind a channel takes. `mimes` empty: any. `caption` in characters; zero: none with the file."""

    most_bytes: int
    mimes: frozenset[str] = frozenset()
    caption: int = 0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Zero or empty means: not at all. Lengths are in characters as the provider counts them."""

    text_length: int
    kinds: frozenset[str] = frozenset()
    """Kinds of content (their `type`) that it carries by itself, besides those that have a limit of their own here."""
    requests: frozenset[str] = frozenset()
    """What a `Request` may ask for with a button."""
    media: Mapping[MediaKind, MediaRule] = field(default_factory=dict)
    album: int = 0
    """Most files of one album."""
    buttons: int = 0
    button_length: int = 0
    button_text_length: int = 0
    """Longest text that buttons can go with; also a link's, a request's and a flow's."""
    list_rows: int = 0
    row_length: int = 0
    forms: bool = False
    sources: bool = False
    """Shows an answer's sources by itself; elsewhere they become a line of the text."""
    service_window_hours: int | None = None
    """Free text is allowed for so long after the customer's last message."""
    typing: bool = False
    """Can show the customer that an answer is being written (Slack: in a thread only)."""
    drafts: bool = False
    """Can show an answer while it is being written (`gateway.model.ports.ShowsDrafts`)."""
    idempotent: bool = False
    """Sending the same message again has no second effect."""
    rates: Rates = field(default_factory=Rates)
    """How fast an account may send, unless its adapter knows better (`Adapter.rates`)."""
