"""Who may come in: API keys, users, console sessions, one-time sign-in links, and sockets' single-use tickets.

A key, session or link is stored as the SHA-256 of its secret: whoever reads the database can't use it.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from gateway.model.errors import Conflict
from gateway.store.database import Database, guarded
from gateway.store.group import insert_new

SESSION_LASTS = timedelta(hours=12)
LINK_LASTS = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class User:
    id: str
    tenant: str
    email: str
    name: str
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class ApiKey:
    id: str
    tenant: str
    name: str


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in user. `csrf` is what every form of the session must send along."""

    id: str
    tenant: str
    user: User
    csrf: str


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Access:
    def __init__(self, db: Database) -> None:
        self._keys = db["keys"]
        self._users = db["users"]
        self._sessions = db["sessions"]
        self._tickets = db["tickets"]

    async def create_key(self, tenant: str, name: str, now: datetime) -> tuple[ApiKey, str]:
        """A new key and its secret, which can't be shown again."""
        secret = "pk_" + secrets.token_urlsafe(32)
        key = ApiKey("key_" + secrets.token_hex(8), tenant, name)
        async with guarded():
            await self._keys.insert_one(
                {"_id": _hash(secret), "key": key.id, "tenant": tenant, "name": name, "created": now}
            )
        return key, secret

    async def key(self, secret: str) -> ApiKey | None:
        async with guarded():
            doc = await self._keys.find_one({"_id": _hash(secret)})
        return ApiKey(doc["key"], doc["tenant"], doc["name"]) if doc else None

    async def create_user(self, tenant: str, email: str, name: str, now: datetime) -> User:
        """Raises Conflict when the address is taken."""
        user = User("u_" + secrets.token_hex(8), tenant, email.strip().lower(), name)
        async with guarded():
            try:
                await self._users.insert_one(
                    {"_id": user.id, "tenant": tenant, "email": user.email, "name": name, "created": now}
                )
            except DuplicateKeyError:
                raise Conflict(f"a user with the address {user.email} exists already") from None
        return user

    async def user_by_email(self, email: str) -> User | None:
        async with guarded():
            doc = await self._users.find_one({"email": email.strip().lower()})
        return (
            User(doc["_id"], doc["tenant"], doc["email"], doc["name"], doc.get("disabled", False))
            if doc
            else None
        )

    async def create_link(self, user: User, now: datetime) -> str:
        """The secret of a one-time sign-in link."""
        return await self._create("link", user, now + LINK_LASTS)

    async def use_link(self, secret: str, now: datetime) -> str | None:
        """Trade a sign-in link for a session, once. The session's secret, or None."""
        async with guarded():
            doc = await self._sessions.find_one({"_id": _hash(secret), "kind": "link"})
            if doc is None or doc["expires"] <= now:
                return None
            if not (await self._sessions.delete_one({"_id": doc["_id"]})).deleted_count:
                return None
        user = await self._user(doc["user"])
        return await self._create("session", user, now + SESSION_LASTS) if user else None

    async def _create(self, kind: str, user: User, expires: datetime) -> str:
        secret = secrets.token_urlsafe(32)
        async with guarded():
            await self._sessions.insert_one(
                {
                    "_id": _hash(secret),
                    "kind": kind,
                    "tenant": user.tenant,
                    "user": user.id,
                    "csrf": secrets.token_urlsafe(16),
                    "expires": expires,
                }
            )
        return secret

    async def session(self, secret: str, now: datetime) -> Session | None:
        """The session of a cookie; a disabled user has none."""
        async with guarded():
            doc = await self._sessions.find_one({"_id": _hash(secret), "kind": "session"})
        if doc is None or doc["expires"] <= now:
            return None
        user = await self._user(doc["user"])
        return Session(doc["_id"], user.tenant, user, doc["csrf"]) if user else None

    async def end_session(self, secret: str) -> None:
        async with guarded():
            await self._sessions.delete_one({"_id": _hash(secret)})

    async def _user(self, user: str) -> User | None:
        async with guarded():
            doc = await self._users.find_one({"_id": user})
        if doc is None or doc.get("disabled"):
            return None
        return User(doc["_id"], doc["tenant"], doc["email"], doc["name"])

    async def use_ticket(self, ticket: str, expires: datetime) -> bool:
        """Whether a socket's ticket is used for the first time, by any process."""
        async with guarded():
            return (await insert_new(self._tickets, [{"_id": ticket, "expires": expires}]))[0]
