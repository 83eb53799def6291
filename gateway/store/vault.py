"""Secrets at rest: AES-256-GCM under keys derived from SECRET_KEYS, bound to their tenant and record.

A sealed value is `v1.<key id>.<nonce and ciphertext, base64url>`. The tenant and the record's id are
associated data, so a ciphertext moved to another tenant or record does not open. The newest key seals; every
listed key opens, so keys can be rotated. Tokens are signed with keys derived for that purpose alone.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class SealBroken(Exception):
    """A sealed value that no listed key opens, for this tenant and record."""


def derive(key: str, purpose: str) -> bytes:
    """32 bytes for one purpose (HKDF-Extract and one block of Expand with SHA-256, RFC 5869)."""
    secret = hmac.new(b"parley", key.encode(), hashlib.sha256).digest()
    return hmac.new(secret, purpose.encode() + b"\x01", hashlib.sha256).digest()


class Vault:
    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("a vault needs at least one key")
        self._keys = tuple(keys)
        self._ciphers = {self._id(k): AESGCM(derive(k, "vault")) for k in keys}
        self._newest = self._id(keys[0])

    @staticmethod
    def _id(key: str) -> str:
        return derive(key, "key id").hex()[:8]

    def seal(self, value: str, tenant: str, record: str) -> str:
        nonce = secrets.token_bytes(12)
        sealed = nonce + self._ciphers[self._newest].encrypt(nonce, value.encode(), _bound(tenant, record))
        return f"v1.{self._newest}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, tenant: str, record: str) -> str:
        """The value. Raises SealBroken, which never says why."""
        version, _, rest = sealed.partition(".")
        key, _, body = rest.partition(".")
        cipher = self._ciphers.get(key)
        if version != "v1" or cipher is None:
            raise SealBroken
        try:
            raw = base64.urlsafe_b64decode(body)
            return cipher.decrypt(raw[:12], raw[12:], _bound(tenant, record)).decode()
        except (InvalidTag, ValueError):
            raise SealBroken from None

    def signing_keys(self, purpose: str) -> tuple[bytes, ...]:
        """Keys to sign (the first) and to verify (any) tokens of one purpose."""
        return tuple(derive(k, f"sign {purpose}") for k in self._keys)


def _bound(tenant: str, record: str) -> bytes:
    return f"{tenant}\x1f{record}".encode()
