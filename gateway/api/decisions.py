"""Decisions over the API: whether each message to a contact might be sent, why, and what that rested on."""

from datetime import datetime
from typing import Any

from gateway.api import shapes
from gateway.api.openapi import Operation
from gateway.model.content import plain_text
from gateway.model.errors import NotFound
from gateway.model.message import Message
from gateway.store import Store


class DecisionShape(shapes.Shape):
    stage: str
    at: datetime
    allowed: bool
    reason: str
    text: str
    remedy: str
    until: datetime | None
    facts: dict[str, Any]


class DecidedShape(shapes.Shape):
    message: str
    conversation: str
    channel: str
    seq: int
    at: datetime
    author: str
    purpose: str
    campaign: str | None
    status: str
    text: str
    decisions: list[DecisionShape]

    @classmethod
    def of(cls, m: Message) -> "DecidedShape":
        names = ("conversation", "channel", "seq", "at", "author", "purpose", "campaign")
        return cls(
            **{n: getattr(m, n) for n in names},
            message=m.id,
            status=m.status.label,
            text=plain_text(m.content),
            decisions=[
                DecisionShape(
                    **{n: getattr(d, n) for n in DecisionShape.model_fields if n != "facts"},
                    facts=dict(d.facts),
                )
                for d in m.decided
            ],
        )


class DecidedPage(shapes.Shape):
    items: list[DecidedShape]
    next: int | None
    """The cursor of the next page: goes into `before`."""


class DecisionOperations:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.operations = (
            Operation(
                "GET", "/contacts/{contact}/decisions", "Whether messages to a contact might be sent",
                self.list_decisions, DecidedPage, query=shapes.MessageQuery, tag="consent",
            ),
        )  # fmt: skip

    async def list_decisions(self, tenant: str, contact: str, query: shapes.MessageQuery) -> DecidedPage:
        """Every decision about messages to a contact, on any channel, with the facts that it rested on; the latest message
        first. `written` is what permission said when the message was written, `sent` what it said when it was last about to
        be sent."""
        store = self._store.of(tenant)
        found = await store.conversations.contact(contact)
        if found is None:
            raise NotFound(contact)
        talks = await store.conversations.of_contact([found.id, *found.merged])
        page = await store.decisions.page([c.id for c in talks], query.before, query.limit)
        return DecidedPage(items=[DecidedShape.of(m) for m in page.messages], next=page.next)
