"""Standard Webhooks signatures, both ways: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

`webhook-signature` holds one or more `v1,<base64>` of HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`. The key is
the base64 in a secret that begins with `whsec_`.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from gateway.model.errors import NotAuthentic

TOLERANCE: Final = 300
"""Seconds that a stamp may be away from our clock."""

PREFIX: Final = "whsec_"
LEAST_KEY: Final = 24
_ID: Final = re.compile(r"[\x21-\x7e]{1,256}", re.ASCII)


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes | None:
    """The key in a secret; None for what is no secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if secret.startswith(PREFIX) and len(key) >= LEAST_KEY else None


def sign(key: bytes, identifier: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of an outgoing call."""
    stamp = str(int(at.timestamp()))
    return {
        "webhook-id": identifier,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(_digest(key, identifier, stamp, body)).decode(),
    }


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Raises NotAuthentic, which says nothing. `headers` have lower-case names."""
    key, identifier, stamp = (
        key_of(secret),
        headers.get("webhook-id", ""),
        headers.get("webhook-timestamp", ""),
    )
    if (
        key is None
        or not _ID.fullmatch(identifier)
        or not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12)
    ):
        raise NotAuthentic
    if abs(int(stamp) - now.timestamp()) > TOLERANCE:
        raise NotAuthentic
    expected = b"v1," + base64.b64encode(_digest(key, identifier, stamp, body))
    given = headers.get("webhook-signature", "").encode("utf-8", "surrogatepass").split(b" ")
    # Every one is compared, so that the time tells nothing of which fits.
    if not sum(hmac.compare_digest(expected, one) for one in given[:16]):
        raise NotAuthentic


def _digest(key: bytes, identifier: str, stamp: str, body: bytes) -> bytes:
    return hmac.new(key, f"{identifier}.{stamp}.".encode() + body, hashlib.sha256).digest()
