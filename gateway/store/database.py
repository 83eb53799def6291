"""The connection to MongoDB, its indexes, and the translation of the driver's errors.

Options, and why: `w=majority&journal=true`, because an acknowledgement to a provider is a promise; a pool of 32
for one process (more would only queue in the server); 3 s to find a server, so that a webhook
is refused with 503 while its provider still listens; 10 s to wait for one of the pool; 20 s for one call, so that
a hung server does not hold a turn for ever. The driver reconnects by itself; nothing here needs a restart.
"""

from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bson.errors import BSONError
from pymongo import ASCENDING, AsyncMongoClient, IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    ConnectionFailure,
    ExecutionTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from gateway.model.errors import StoreError, Unavailable

Doc = dict[str, Any]
Database = AsyncDatabase[Doc]
Collection = AsyncCollection[Doc]

EMBEDDED_OPTIONS = "directConnection=true&retryWrites=false&w=majority&journal=true"
DEFAULT_NAME = "parley"


class RoundTrips(CommandListener):
    """Counts commands by name and collection (`update messages`): the budget of an exchange is measured with it."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def started(self, event: CommandStartedEvent) -> None:
        name = f"{event.command_name} {event.command[event.command_name]}"
        self.counts[name] = self.counts.get(name, 0) + 1

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def connect(uri: str, listener: CommandListener | None = None) -> AsyncMongoClient[Doc]:
    """A client for one process. Connects on first use."""
    return AsyncMongoClient(
        uri,
        appname="parley",
        tz_aware=True,
        w="majority",
        journal=True,
        maxPoolSize=32,
        waitQueueTimeoutMS=10_000,
        serverSelectionTimeoutMS=3_000,
        connectTimeoutMS=3_000,
        socketTimeoutMS=20_000,
        event_listeners=[listener] if listener else [],
    )


class SharedDatabase(AsyncDatabase[Doc]):
    """A database that makes each of its collections' handles once: repositories are made for every message, and the driver's
    handles cost more than all else in them."""

    def __init__(self, client: AsyncMongoClient[Doc], name: str) -> None:
        super().__init__(client, name)
        self._handles: dict[str, Collection] = {}

    def __getitem__(self, name: str) -> Collection:
        handle = self._handles.get(name)
        if handle is None:
            handle = self._handles[name] = super().__getitem__(name)
        return handle


def database(client: AsyncMongoClient[Doc]) -> Database:
    """The database that the address names, else `parley`."""
    return SharedDatabase(client, client.get_default_database(DEFAULT_NAME).name)


@asynccontextmanager
async def guarded() -> AsyncIterator[None]:
    """Turn the driver's errors into ours: Unavailable when the database can't be reached or did not confirm, else
    StoreError. Neither keeps the driver's text or cause: both may hold a whole document."""
    try:
        yield
    except PyMongoError as error:
        if is_unavailable(error):
            raise Unavailable("the database can't be reached") from None
        details = error.details or {} if isinstance(error, OperationFailure) else {}
        codes = [str(e.get("code")) for e in details.get("writeErrors", ())] or [
            str(getattr(error, "code", ""))
        ]
        raise StoreError(
            f"the database refused a call: {type(error).__name__} {', '.join(codes[:3])}"
        ) from None
    except UNWRITABLE as error:
        raise StoreError(f"a document can't be written: {type(error).__name__}") from None


UNWRITABLE: Final = (BSONError, OverflowError, UnicodeError, RecursionError)
"""What the driver raises for a document that has no form in BSON: none of these is one of its own errors."""


def is_unavailable(error: BaseException) -> bool:
    """Whether the database could not be reached or did not confirm, whatever the documents were."""
    if isinstance(error, ConnectionFailure | NotPrimaryError | ExecutionTimeout | WriteConcernError):
        return True
    if not isinstance(error, PyMongoError):
        return False
    details = error.details or {} if isinstance(error, OperationFailure) else {}
    labelled = error.timeout or error.has_error_label("RetryableWriteError")
    return labelled or bool(details.get("writeConcernErrors"))


@dataclass(frozen=True, slots=True)
class Index:
    collection: str
    name: str
    keys: tuple[str, ...]
    unique: bool = False
    partial: tuple[tuple[str, Any], ...] = ()
    expire: bool = False
    """What has the time in its one field behind it is removed: by us (`remove_expired`), never by the database."""


# "$gt: ''" means "is a string", in a form that the embedded server's planner, too, matches to a query.
OPEN_WORK = (("todo", {"$gt": ""}),)

# The embedded server's planner passes an index over when a filter names a field outside it. So filters name only
# fields of one index, or `_id`; what else matters is looked at in what they find, and then named beside `_id`.
INDEXES: tuple[Index, ...] = (
    Index("messages", "work", ("tenant", "conversation", "todo", "seq"), partial=OPEN_WORK),
    Index("messages", "due", ("todo", "due"), partial=OPEN_WORK),
    Index("messages", "bulk", ("channel", "in_bulk", "place"), partial=(("in_bulk", True),)),
    Index("messages", "transcript", ("tenant", "conversation", "seq")),
    Index("messages", "provider", ("tenant", "channel", "provider_id")),
    Index("messages", "dead_letters", ("tenant", "dead", "seq"), partial=(("dead", True),)),
    Index("messages", "all_dead", ("dead",), partial=(("dead", True),)),
    Index("receipts", "due", ("todo", "due")),
    Index("receipts", "expires", ("expires",), expire=True),
    Index("messages", "campaign", ("tenant", "campaign", "status"), partial=(("campaign", {"$gt": ""}),)),
    Index("conversations", "recent", ("tenant", "last_at")),
    Index("conversations", "contact", ("tenant", "contact")),
    Index("ledger", "contact", ("tenant", "contact")),
    Index("ledger", "recorded", ("tenant", "recorded")),
    Index("signals", "waiting", ("tenant", "waits", "at"), partial=(("waits", True),)),
    Index("templates", "tenant", ("tenant", "name")),
    Index("templates", "remote", ("tenant", "remote")),
    Index("campaigns", "recent", ("tenant", "created")),
    Index("campaigns", "active", ("active",), partial=(("active", True),)),
    Index("recipients", "place", ("tenant", "campaign", "place")),
    Index("campaign_pages", "campaign", ("tenant", "campaign")),
    Index("campaign_errors", "campaign", ("tenant", "campaign")),
    Index("contacts", "identity", ("tenant", "keys"), unique=True),
    Index("people", "conversation", ("tenant", "conversation")),
    Index("files", "due", ("todo", "due"), partial=OPEN_WORK),
    Index("file_parts", "generation", ("tenant", "generation")),
    Index("channel_events", "latest", ("tenant", "channel", "at")),
    Index("channel_events", "expires", ("expires",), expire=True),
    Index("leads", "recent", ("tenant", "updated")),
    Index("tenants", "changed", ("changed",)),
    Index("channels", "changed", ("changed",)),
    Index("channels", "account", ("kind", "account"), unique=True),
    Index("channels", "tenant", ("tenant",)),
    Index("documents", "tenant", ("tenant",)),
    Index("collections", "tenant", ("tenant",)),
    Index("sources", "tenant", ("tenant",)),
    Index("sources", "due", ("todo", "due"), partial=OPEN_WORK),
    Index("source_parts", "bytes", ("tenant", "bytes")),
    Index("pending_chunks", "at", ("at",)),
    Index("asked", "latest", ("tenant", "at")),
    Index("asked", "expires", ("expires",), expire=True),
    Index("gaps", "tenant", ("tenant", "state", "last")),
    Index("submissions", "latest", ("tenant", "form", "at")),
    Index("goldens", "tenant", ("tenant",)),
    Index("eval_runs", "latest", ("tenant", "at")),
    Index("spent", "expires", ("expires",), expire=True),
    Index("spent", "day", ("tenant", "day")),
    Index("chunks", "generation", ("tenant", "generation")),
    Index("lanes", "expires", ("expires",), expire=True),
    Index("tickets", "expires", ("expires",), expire=True),
    Index("sessions", "expires", ("expires",), expire=True),
    Index("users", "email", ("email",), unique=True),
    Index("keys", "tenant", ("tenant",)),
)


SCHEMA: Final = 2
"""The form of documents that this version writes, and the latest that it knows whole. Raised when a form changes in a way
that an older version would misread."""

NEEDED: Final = 1
"""The least SCHEMA that a version must know to work on a database that this version has migrated.

Migrations expand first: a release adds fields, indexes and collections, and versions before it go on beside it. Only a
later release contracts (drops what nobody writes any more), and raises this."""


class TooOld(StoreError):
    """The database was migrated by a version that this one can't work beside."""


async def migrate(db: Database, say: Callable[[str], None] = lambda _: None) -> None:
    """Bring the database to what this version needs. Running it again changes nothing. Raises TooOld, and then nothing
    was changed."""
    async with guarded():
        found = await db["meta"].find_one({"_id": "schema"})
        if found is not None and found["needed"] > SCHEMA:
            raise TooOld(
                f"this database needs a version of Parley that knows schema {found['needed']}; this one knows {SCHEMA}:"
                " start the newer version, or restore a backup from before it"
            )
        if found is None or found["needed"] < NEEDED:
            await db["meta"].update_one({"_id": "schema"}, {"$max": {"needed": NEEDED}}, upsert=True)
        for collection in dict.fromkeys(i.collection for i in INDEXES):
            there = await _without_expiry(db, collection)
            wanted = [i for i in INDEXES if i.collection == collection and i.name not in there]
            if wanted:
                await db[collection].create_indexes([_model(i) for i in wanted])
                say(f"{collection}: added {', '.join(i.name for i in wanted)}")


async def _without_expiry(db: Database, collection: str) -> AbstractSet[str]:
    """The names of its indexes. One that the database itself would empty, as the first versions made them, goes."""
    there = await db[collection].index_information()
    old = [name for name, options in there.items() if "expireAfterSeconds" in options]
    for name in old:
        await db[collection].drop_index(name)
    return there.keys() - old


async def remove_expired(db: Database, now: datetime) -> None:
    """Remove what has expired. The database's own expiry is not used: the embedded server's sweeper rests, for a minute
    each, on a place that keeps the storage from forgetting, and under many writes every call then waited for minutes."""
    for index in INDEXES:
        if index.expire:
            async with guarded():
                await db[index.collection].delete_many({index.keys[0]: {"$lte": now}})


def _model(index: Index) -> IndexModel:
    options: dict[str, Any] = {"name": index.name}
    if index.unique:
        options["unique"] = True
    if index.partial:
        options["partialFilterExpression"] = dict(index.partial)
    return IndexModel([(k, ASCENDING) for k in index.keys], **options)
