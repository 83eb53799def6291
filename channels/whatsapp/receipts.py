"""Statuses of what we sent, as receipts.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from channels.read import instant, items, mapping, raw, short_id, word
from channels.whatsapp.errors import failure, is_opt_out
from gateway.model.message import Receipt, Status

_STATUSES: Final = {
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "played": Status.READ,
    "failed": Status.FAILED,
}
_OUR_ID: Final = re.compile(r"m_[a-z2-7]{24}", re.ASCII)


def receipt(status: Mapping[str, Any], now: datetime) -> Receipt | None:
    """One status; None for what is unknown or names no message."""
    known = _STATUSES.get(word(status.get("status")))
    provider_id, ours = short_id(status.get("id")), word(status.get("biz_opaque_callback_data"))
    message = ours if _OUR_ID.fullmatch(ours) else None
    if known is None or not (provider_id or message):
        return None
    return Receipt(
        provider_id=provider_id,
        status=known,
        at=instant(status.get("timestamp"), now),
        message=message,
        failure=failure(_first_error(status)) if known is Status.FAILED else None,
        detail=_detail(status),
        opt_out=known is Status.FAILED and is_opt_out(_first_error(status)),
    )


def _first_error(status: Mapping[str, Any]) -> str:
    errors = items(status.get("errors"))
    return word(mapping(errors[0]).get("code"))[:16] if errors else ""


def _detail(status: Mapping[str, Any]) -> str | None:
    """What was charged, for the bill: prices are per message and only said here."""
    kept = {key: status[key] for key in ("pricing", "conversation") if isinstance(status.get(key), dict)}
    return (raw(kept) or None) if kept else None
