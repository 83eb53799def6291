"""Who is calling: the signature of a webhook and the answer to the verification request.

https://developers.facebook.com/docs/graph-api/webhooks/getting-started
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from gateway.model.errors import NotAuthentic

HEADER: Final = "x-hub-signature-256"
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_.-]{1,256}", re.ASCII)


def verify(secret: str, headers: Mapping[str, str], body: bytes) -> None:
    """Check `sha256=<hex>` over the raw bytes, in constant time. `headers` have lower-case names.

    Raises NotAuthentic, which says nothing. Upper-case hex is not what Meta sends and does not pass.
    """
    expected = b"sha256=" + hmac.new(_bytes(secret), body, hashlib.sha256).hexdigest().encode()
    # Bytes on both sides: comparing strings raises on a header that is not ASCII.
    same = hmac.compare_digest(expected, _bytes(headers.get(HEADER, "")))
    if not (same and secret):
        raise NotAuthentic


def challenge(verify_token: str, query: Mapping[str, str]) -> str:
    """The challenge to send back as plain text, when the query carries our token. Raises NotAuthentic."""
    same = hmac.compare_digest(_bytes(verify_token), _bytes(query.get("hub.verify_token", "")))
    answer = query.get("hub.challenge", "")
    # Echoing only plain characters keeps this address from being used to show somebody else's page.
    if not (same and verify_token and query.get("hub.mode") == "subscribe" and _CHALLENGE.fullmatch(answer)):
        raise NotAuthentic
    return answer


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
