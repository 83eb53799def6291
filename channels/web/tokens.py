"""Who a visitor is (the visitor token) and that they may open one socket, once (the ticket).

Both are JWTs signed with HS256 under keys of their own, with a fixed algorithm, audience and type (RFC 8725).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt

from gateway.model.errors import NotAuthentic

VISITOR_LASTS = timedelta(days=180)
TICKET_LASTS = timedelta(seconds=60)
LEEWAY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Ticket:
    id: str
    visitor: str
    site: str
    language: str
    expires: datetime


class Tokens:
    """`keys`: the first signs, any verifies."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def visitor(self, site: str, now: datetime, visitor: str | None = None) -> tuple[str, str]:
        """A visitor's id (a new one without `visitor`) and a fresh token for it."""
        visitor = visitor or "v" + secrets.token_hex(12)
        return visitor, self._sign("visitor", site, {"sub": visitor}, now, VISITOR_LASTS)

    def read_visitor(self, token: str, site: str, now: datetime) -> str:
        """The visitor's id. Raises NotAuthentic."""
        return str(self._verify("visitor", token, site, now)["sub"])

    def ticket(self, site: str, visitor: str, language: str, now: datetime) -> str:
        claims = {"sub": visitor, "jti": secrets.token_hex(16), "lang": language, "site": site}
        return self._sign("ticket", "socket", claims, now, TICKET_LASTS)

    def read_ticket(self, token: str, now: datetime) -> Ticket:
        """Raises NotAuthentic. Whether it was used before is the caller's to ask."""
        claims = self._verify("ticket", token, "socket", now)
        expires = datetime.fromtimestamp(claims["exp"], tz=now.tzinfo) + LEEWAY
        try:
            return Ticket(
                str(claims["jti"]), str(claims["sub"]), str(claims["site"]), str(claims["lang"]), expires
            )
        except KeyError:
            raise NotAuthentic from None

    def _sign(self, kind: str, audience: str, claims: dict[str, Any], now: datetime, lasts: timedelta) -> str:
        claims = {**claims, "aud": f"parley/{kind}/{audience}", "iat": now, "exp": now + lasts}
        return jwt.encode(claims, self._keys[0], algorithm="HS256", headers={"typ": f"{kind}+jwt"})

    def _verify(self, kind: str, token: str, audience: str, now: datetime) -> dict[str, Any]:
        for key in self._keys:
            try:
                if jwt.get_unverified_header(token).get("typ") != f"{kind}+jwt":
                    break
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key,
                    algorithms=["HS256"],
                    audience=f"parley/{kind}/{audience}",
                    options={
                        "require": ["exp", "iat", "aud", "sub"],
                        "verify_exp": False,
                        "verify_iat": False,
                    },
                )
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError):
                break
            # Times are checked here, against the injected clock.
            moment = now.timestamp()
            if not (isinstance(claims["iat"], int | float) and isinstance(claims["exp"], int | float)):
                break
            if (
                claims["iat"] - LEEWAY.total_seconds() > moment
                or claims["exp"] + LEEWAY.total_seconds() <= moment
            ):
                break
            return claims
        raise NotAuthentic
