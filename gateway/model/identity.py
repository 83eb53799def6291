"""Who a customer is on a channel."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a customer is on a channel.

    `account` narrows where `id` means something: empty for a phone number, the site for a widget visitor,
    the business for a WhatsApp business-scoped user id.
    """

    kind: str
    account: str
    id: str
