"""The only code that knows MongoDB. `Store` hands out repositories that are bound to one tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gateway.model.answers import Asked
from gateway.model.consent import Entry
from gateway.model.ports import Clock
from gateway.store.access import Access
from gateway.store.accounts import Accounts
from gateway.store.amended import Amendments
from gateway.store.asked import AskedStore
from gateway.store.asked import keep as keep_asked
from gateway.store.bulk import Bulk
from gateway.store.campaigns import ActiveCampaigns, Campaigns, Known
from gateway.store.conversations import Conversations
from gateway.store.database import Database, guarded, remove_expired
from gateway.store.dead_letters import DeadLetters
from gateway.store.decisions import Decisions
from gateway.store.directory import Directory
from gateway.store.events import Events
from gateway.store.files import AllFiles, Files
from gateway.store.gaps import GapStore
from gateway.store.goldens import EvalRuns, GoldenStore
from gateway.store.group import GroupedInserts
from gateway.store.journal import Journal, lines_of
from gateway.store.knowledge import Knowledge
from gateway.store.lanes import Lanes
from gateway.store.leases import Leases
from gateway.store.ledger import Ledger
from gateway.store.messages import Messages
from gateway.store.open_work import OpenWork
from gateway.store.people import People
from gateway.store.receipts import Receipts
from gateway.store.signals import SignalStore
from gateway.store.sources import Sources
from gateway.store.spend import SpentStore
from gateway.store.submissions import Submissions
from gateway.store.templates import Templates
from gateway.store.vault import Vault
from gateway.store.vector_search import VectorSearch


@dataclass(frozen=True, slots=True)
class TenantStore:
    """One tenant's data. Every filter and every write in it names the tenant."""

    tenant: str
    messages: Messages
    conversations: Conversations
    files: Files
    events: Events
    dead_letters: DeadLetters
    decisions: Decisions
    receipts: Receipts
    amendments: Amendments
    ledger: Ledger
    templates: Templates
    accounts: Accounts
    signals: SignalStore
    campaigns: Campaigns
    bulk: Bulk
    known: Known
    asked: AskedStore
    gaps: GapStore
    submissions: Submissions
    goldens: GoldenStore
    eval_runs: EvalRuns


class Store:
    def __init__(self, db: Database, vault: Vault, clock: Clock, journal: Journal | None = None) -> None:
        """`journal` keeps withdrawals beside the database."""
        self.journal = journal
        self._db = db
        self._clock = clock
        self._inserts = GroupedInserts(db["messages"])
        self.vault = vault
        self.directory = Directory(db, vault, clock)
        self.access = Access(db)
        self.open_work = OpenWork(db)
        self.people = People(db)
        self.leases = Leases(db)
        self.active_campaigns = ActiveCampaigns(db)
        self.lanes = Lanes(db)
        self.files = AllFiles(db, clock)
        self.sources = Sources(db, clock)
        self.spending = SpentStore(db)

    @cached_property
    def knowledge(self) -> Knowledge:
        return Knowledge(self._db, self.directory, self._clock)

    @cached_property
    def vector_search(self) -> VectorSearch:
        return VectorSearch(self._db)

    def of(self, tenant: str) -> TenantStore:
        return TenantStore(
            tenant,
            Messages(self._db, self._inserts, tenant),
            Conversations(self._db, tenant),
            self.files.of(tenant),
            Events(self._db, tenant),
            DeadLetters(self._db, tenant),
            Decisions(self._db, tenant),
            Receipts(self._db, tenant),
            Amendments(self._db, tenant),
            Ledger(self._db, tenant, self._kept if self.journal is not None else None),
            Templates(self._db, tenant),
            Accounts(self._db, tenant),
            SignalStore(self._db, tenant),
            Campaigns(self._db, tenant),
            Bulk(self._db, tenant),
            Known(self._db, tenant),
            AskedStore(self._db, tenant),
            GapStore(self._db, tenant),
            Submissions(self._db, tenant),
            GoldenStore(self._db, tenant),
            EvalRuns(self._db, tenant),
        )

    async def _kept(self, tenant: str, entries: Sequence[Entry]) -> None:
        if self.journal is not None:
            await self.journal.write(await lines_of(self._db, tenant, entries))

    async def put_back(self) -> int:
        """Put back what the journal has of consent and the database lacks: a backup was restored. How many entries."""
        return await self.journal.put_back(self._db) if self.journal is not None else 0

    async def keep_asked(self, asked: Sequence[Asked]) -> None:
        """Keep what was asked, of all tenants at once. Raises Unavailable, StoreError."""
        await keep_asked(self._db, asked)

    async def ping(self) -> None:
        """Raises Unavailable when the database does not answer."""
        async with guarded():
            await self._db.command("ping")

    async def remove_expired(self) -> None:
        await remove_expired(self._db, self._clock())

    async def close(self) -> None:
        await self._inserts.close()
