"""Who is calling: the signature of a request.

https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from gateway.model.errors import NotAuthentic

HEADER: Final = "x-slack-signature"
STAMP: Final = "x-slack-request-timestamp"
WINDOW: Final = 300.0
"""Seconds that a request may be old, or ahead of our clock: an older one may be somebody's recording."""

_SECONDS: Final = re.compile(r"\d{1,12}", re.ASCII)


def sign(secret: str, stamp: str, body: bytes) -> str:
    """`v0=<hex>` over version, time and raw body."""
    base = b"v0:" + _bytes(stamp) + b":" + body
    return "v0=" + hmac.new(_bytes(secret), base, hashlib.sha256).hexdigest()


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Check the signature in constant time, and that it is of now. `headers` have lower-case names.

    Raises NotAuthentic, which says nothing.
    """
    stamp = headers.get(STAMP, "")
    # Bytes on both sides: comparing strings raises on a header that is not ASCII.
    same = hmac.compare_digest(_bytes(sign(secret, stamp, body)), _bytes(headers.get(HEADER, "")))
    fresh = bool(_SECONDS.fullmatch(stamp)) and abs(now.timestamp() - int(stamp)) <= WINDOW
    if not (same and fresh and secret):
        raise NotAuthentic


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
