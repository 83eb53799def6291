"""What a channel can show, in data, and how a message degrades to it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Zero means: not at all. Lengths are in characters as the provider counts them."""

    text_length: int
    buttons: int = 0
    button_length: int = 0
    button_text_length: int = 0
    """Longest text that buttons can go with."""
    list_rows: int = 0
    row_length: int = 0
    forms: bool = False
    sources: bool = False
    """Shows an answer's sources by itself; elsewhere they become a line of the text."""
    service_window_hours: int | None = None
    """Free text is allowed for so long after the customer's last message."""
    idempotent: bool = False
    """Sending the same message again has no second effect."""
    account_rate: float = 0
    """Messages a second that one account may send."""
    recipient_rate: float = 0
    """Messages a second that one recipient may get, over time; `recipient_burst` at once."""
    recipient_burst: int = 1
